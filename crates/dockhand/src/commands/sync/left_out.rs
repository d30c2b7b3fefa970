//! What a sync leaves out although nobody asked for that: it is counted, and told in the end.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dockhand_client::sync::Select;
use dockhand_client::{Result, Store};
use dockhand_oci::{Reference, Tag};
use serde::Serialize;

use crate::output::{count, some};
use crate::session::Session;
use crate::tags::{Choice, Chosen, is_digest_tag};

/// How many images are asked for their time at once.
const LANES: usize = 16;

/// What was left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeftOut {
    /// How many tags begin with a digest: signatures and the like.
    digest_tags: u64,
    /// Images of which nothing says when they were made, where an age was asked for.
    undated: Vec<String>,
}

impl LeftOut {
    pub(super) fn is_empty(&self) -> bool {
        self.digest_tags == 0 && self.undated.is_empty()
    }

    /// Says it.
    pub(super) fn tell(&self, session: &Session) {
        if self.digest_tags > 0 {
            let many = count(self.digest_tags, "tag");
            session.note(&format!(
                "left out: {many} with a digest in its name, such as sha256-….sig; --digest-tags copies those \
                 of copied images"
            ));
        }
        if !self.undated.is_empty() {
            let names = some(&self.undated);
            session.note(&format!(
                "left out, because nothing says when it was made: {names} ({})",
                count(self.undated.len() as u64, "tag")
            ));
        }
    }
}

/// A choice of tags that takes down what it leaves out.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) choice: Choice,
    /// Whether tags that begin with a digest come along with what they are about.
    pub(super) digest_tags: bool,
    pub(super) left_out: Arc<Mutex<LeftOut>>,
}

#[async_trait]
impl Select for Counted {
    async fn select(&self, store: &Arc<dyn Store>, tags: Vec<Tag>) -> Result<Vec<Tag>> {
        let named = tags.into_iter().filter(|tag| self.choice.takes_name(tag));
        let (digests, reached): (Vec<Tag>, Vec<Tag>) = named.partition(is_digest_tag);
        let reached = reached.into_iter().map(Chosen::from).collect();
        let judged = self.choice.judge(store, reached, None, LANES).await?;
        if let Ok(mut left_out) = self.left_out.lock() {
            if !self.digest_tags {
                left_out.digest_tags += digests.len() as u64;
            }
            let names = judged.undated.into_iter().map(Reference::Tag);
            left_out
                .undated
                .extend(names.map(|name| store.named(&name)));
        }
        Ok(judged.chosen.into_iter().map(|one| one.tag).collect())
    }

    /// What begins with a digest comes and goes with what it is about.
    fn reaches(&self, tag: &Tag) -> bool {
        self.choice.takes_name(tag) && !is_digest_tag(tag)
    }
}
