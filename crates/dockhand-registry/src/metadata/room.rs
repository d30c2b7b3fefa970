//! Room for one more upload: counted per client, per repository and in all. When it is short, an upload
//! without a byte gives way.
//!
//! Such an upload costs a client one request, so that they come in floods, and its loss costs a client
//! one request as well. The client that has the most of them gives way first, with its oldest one: a
//! client that floods pushes out itself. One upload goes for one that comes.

use std::time::SystemTime;

use dockhand_oci::UploadId;

use super::codec::{system_time, time, word};
use super::records::{GaveWay, NewUpload, Room};
use super::repositories;
use super::sql::{DbError, Sql, Value, all, first};
use super::uploads::staged;

/// Counted as far as the limit and no further, so that the cost of a start has a bound.
const OPEN_OF_CLIENT: &str =
    "SELECT count(*) FROM (SELECT 1 FROM upload WHERE client = ?1 LIMIT ?2) AS open";
const OPEN_HERE: &str =
    "SELECT count(*) FROM (SELECT 1 FROM upload WHERE repository = ?1 LIMIT ?2) AS open";
const OPEN: &str = "SELECT count(*) FROM (SELECT 1 FROM upload LIMIT ?1) AS open";

/// The clients with the most uploads that have no byte. They are counted in the index, and there are no
/// more of them than uploads may be open.
const HOLDERS_HERE: &str = "SELECT client FROM upload WHERE repository = ?1 AND length = 0
    GROUP BY client ORDER BY count(*) DESC, min(touched) LIMIT ?2";
const HOLDERS: &str = "SELECT client FROM upload WHERE length = 0
    GROUP BY client ORDER BY count(*) DESC, min(touched) LIMIT ?1";

/// The uploads of a client that have no byte, the oldest first, a page at a time.
pub(super) const EMPTY_OF_CLIENT: &str = "SELECT length, notes, id, touched FROM upload
    WHERE client = ?1 AND length = 0 AND (touched, id) > (?2, ?3)
    ORDER BY touched, id LIMIT ?4";
pub(super) const EMPTY_HERE: &str = "SELECT length, notes, id, touched FROM upload
    WHERE repository = ?1 AND client = ?2 AND length = 0 AND (touched, id) > (?3, ?4)
    ORDER BY touched, id LIMIT ?5";

const REMOVE_EMPTY: &str = "DELETE FROM upload WHERE id = ?1 AND length = 0";

/// Clients that are looked at for an upload that can go. All empty uploads of one can be in use only when
/// it has as many connections.
const HOLDERS_MAX: i64 = 8;
/// Uploads in a page of a client's.
const PAGE: usize = 64;

/// What is short of room.
#[derive(Clone, Copy)]
enum Within {
    Client,
    /// With its id.
    Repository(i64),
    All,
}

/// Makes room for an upload, or says where there is none. `hold` takes an upload out of use until it is
/// gone; one that is in use stays.
pub(super) fn make<T>(
    sql: &mut dyn Sql,
    new: &NewUpload,
    hold: &dyn Fn(UploadId) -> Option<T>,
) -> Result<(Option<Room>, Vec<GaveWay<T>>), DbError> {
    let mut gave_way = Vec::new();
    let limits = &new.limits;
    let mut bounds = vec![(Within::Client, limits.per_client, Room::Client)];
    if let Some(id) = repositories::find(sql, &new.repo)? {
        bounds.push((
            Within::Repository(id),
            limits.per_repository,
            Room::Repository,
        ));
    }
    bounds.push((Within::All, limits.in_all, Room::All));
    for (within, limit, room) in bounds {
        if open(sql, within, new, i64::from(limit))? < i64::from(limit) {
            continue;
        }
        match remove_one(sql, within, new, hold)? {
            Some(gone) => gave_way.push(gone),
            None => return Ok((Some(room), gave_way)),
        }
    }
    Ok((None, gave_way))
}

fn open(sql: &mut dyn Sql, within: Within, new: &NewUpload, limit: i64) -> Result<i64, DbError> {
    let limit = Value::Int(limit);
    let count = match within {
        Within::Client => {
            let params = [Value::Text(&new.client), limit];
            first(sql, OPEN_OF_CLIENT, &params, |row| row.int(0))
        }
        Within::Repository(id) => first(sql, OPEN_HERE, &[Value::Int(id), limit], |row| row.int(0)),
        Within::All => first(sql, OPEN, &[limit], |row| row.int(0)),
    };
    Ok(count?.unwrap_or(0))
}

/// Ends an upload without a byte that is not in use, if there is one.
fn remove_one<T>(
    sql: &mut dyn Sql,
    within: Within,
    new: &NewUpload,
    hold: &dyn Fn(UploadId) -> Option<T>,
) -> Result<Option<GaveWay<T>>, DbError> {
    for client in holders(sql, within, new)? {
        let mut after = (SystemTime::UNIX_EPOCH, String::new());
        loop {
            let page = empty(sql, within, &client, &after)?;
            let more = page.len() == PAGE;
            for (gone, touched) in page {
                let text = gone.id.to_string();
                if let Some(held) = hold(gone.id)
                    && sql.execute(REMOVE_EMPTY, &[Value::Text(&text)])? == 1
                {
                    let GaveWay { id, staged, .. } = gone;
                    return Ok(Some(GaveWay { id, staged, held }));
                }
                after = (touched, text);
            }
            if !more {
                break;
            }
        }
    }
    Ok(None)
}

/// The clients whose uploads may give way, in the order in which they do.
fn holders(sql: &mut dyn Sql, within: Within, new: &NewUpload) -> Result<Vec<String>, DbError> {
    let limit = Value::Int(HOLDERS_MAX);
    match within {
        Within::Client => Ok(vec![new.client.clone()]),
        Within::Repository(id) => all(sql, HOLDERS_HERE, &[Value::Int(id), limit], |row| {
            row.text(0).map(str::to_owned)
        }),
        Within::All => all(sql, HOLDERS, &[limit], |row| row.text(0).map(str::to_owned)),
    }
}

/// A page of the uploads of a client without a byte, and when each was begun.
fn empty(
    sql: &mut dyn Sql,
    within: Within,
    client: &str,
    (touched, id): &(SystemTime, String),
) -> Result<Vec<(GaveWay<()>, SystemTime)>, DbError> {
    let (client, touched, id) = (
        Value::Text(client),
        Value::Int(time(*touched)),
        Value::Text(id),
    );
    let limit = Value::Int(i64::try_from(PAGE).unwrap_or(i64::MAX));
    let (statement, params) = match within {
        Within::Client | Within::All => (EMPTY_OF_CLIENT, vec![client, touched, id, limit]),
        Within::Repository(repository) => (
            EMPTY_HERE,
            vec![Value::Int(repository), client, touched, id, limit],
        ),
    };
    all(sql, statement, &params, |row| {
        let gone = GaveWay {
            staged: staged(row)?,
            id: word(row.text(2)?)?,
            held: (),
        };
        Ok((gone, system_time(row.int(3)?)))
    })
}
