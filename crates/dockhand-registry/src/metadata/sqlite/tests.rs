//! What SQLite has to pass: the contract, and what is SQLite's own.

use crate::metadata::Metadata;
use crate::metadata::contract::contract_suite;
use crate::metadata::sql::{DbError, Sql, first};

mod batches;
mod files;
mod plans;
mod reading;

fn open() -> Metadata {
    Metadata::in_memory().unwrap()
}

/// Faults, for tests of the rules above.
impl Metadata {
    /// As if the disk were full, or had space again: the database may not grow, or may.
    pub(crate) async fn play_full(&self, full: bool) {
        let limit = move |sql: &mut dyn Sql| {
            let pages = first(sql, "PRAGMA page_count", &[], |row| row.int(0))?;
            let pages = pages.unwrap_or(0) + if full { 0 } else { 1 << 20 };
            let pragma = format!("PRAGMA max_page_count = {pages}").leak();
            first(sql, pragma, &[], |_| Ok(())).map(|_| ())
        };
        self.engine.write("limiting", limit).await.unwrap();
    }

    /// As if the disk failed under a write.
    pub(crate) async fn play_broken(&self) {
        let fail = |_: &mut dyn Sql| Err::<(), _>(DbError::Io("the disk failed on purpose".into()));
        self.engine.write("failing", fail).await.unwrap_err();
    }
}

contract_suite! { super::open:
    blobs {
        are_seen_through_repositories_that_have_them, are_stored_once,
        never_use_a_generation_twice, are_deleted_from_one_repository,
    }
    lists {
        of_tags_keep_byte_order, of_repositories_keep_byte_order, of_any_tags_are_exact,
        show_what_stays_exactly_once,
    }
    manifests {
        come_back_as_they_were_pushed, need_what_they_link, give_the_sizes_of_what_they_link,
        make_repositories_known,
        take_their_tags_along, keep_to_preconditions,
    }
    races {
        no_update_is_lost, one_of_many_is_the_first, a_tag_never_goes_back,
        a_blob_is_not_deleted_from_under_a_manifest, one_commit_stores_a_blob,
    }
    referrers {
        are_listed_by_subject, are_filtered_and_paged, come_from_fallback_tags_too,
        may_speak_for_themselves_later,
    }
    tags { remember_where_they_pointed, are_deleted_alone, are_set_together }
    uploads {
        go_on_where_they_stand, end_with_their_blob, are_bounded, without_a_byte_give_way,
        of_the_client_with_the_most_give_way, of_many_in_use_one_gives_way,
        are_listed_counted_and_dropped, expire_when_nobody_touches_them,
        expire_sooner_without_a_byte,
    }
}
