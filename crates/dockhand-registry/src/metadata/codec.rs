//! How our words stand in columns: digests, times, sizes, annotations.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use dockhand_oci::{Algorithm, Digest, LinkKind};

use super::records::Rows;
use super::sql::{DbError, Value};

/// A digest as it is stored: one byte for the algorithm, then the hash. 33 bytes for SHA-256 where
/// the text has 71, and these stand in nearly every index.
#[derive(Clone, Copy)]
pub(super) struct DigestKey {
    bytes: [u8; 65],
    length: usize,
}

impl DigestKey {
    pub(super) fn new(digest: &Digest) -> Self {
        let hash = digest.as_bytes();
        let mut bytes = [0; 65];
        bytes[0] = algorithm_byte(digest.algorithm());
        for (to, from) in bytes[1..].iter_mut().zip(hash) {
            *to = *from;
        }
        Self {
            bytes,
            length: 1 + hash.len(),
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        Value::Blob(&self.bytes[..self.length])
    }
}

/// The order of these bytes is the order in which referrers are listed, that of [`Digest`] itself.
const fn algorithm_byte(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

/// Reads what [`DigestKey`] wrote.
pub(super) fn digest(bytes: &[u8]) -> Result<Digest, DbError> {
    bytes
        .split_first()
        .and_then(|(first, hash)| {
            let algorithm = Algorithm::ALL
                .into_iter()
                .find(|a| algorithm_byte(*a) == *first)?;
            Digest::from_bytes(algorithm, hash)
        })
        .ok_or_else(|| DbError::damaged("a digest is of no known algorithm or length"))
}

/// Reads a word that was stored as its text.
pub(super) fn word<T: FromStr>(text: &str) -> Result<T, DbError> {
    text.parse()
        .map_err(|_| DbError::damaged(format!("`{text}` is not what was stored here")))
}

/// A size or a counter as it is stored; none comes near the end of 63 bits.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads what [`number`] wrote.
pub(super) fn unsigned(stored: i64) -> Result<u64, DbError> {
    u64::try_from(stored).map_err(|_| DbError::damaged("a size or a counter is negative"))
}

/// A time as microseconds since 1970.
pub(super) fn time(at: SystemTime) -> i64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Reads what [`time`] wrote.
pub(super) fn system_time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// A kind of link as a number.
pub(super) const fn link_kind(kind: LinkKind) -> i64 {
    match kind {
        LinkKind::Config => 1,
        LinkKind::Layer => 2,
        LinkKind::Manifest => LINK_MANIFEST,
    }
}

/// The one kind that leads to a manifest; all others lead to blobs.
pub(super) const LINK_MANIFEST: i64 = 3;

/// Annotations as JSON; none at all as NULL, which is what most manifests have.
pub(super) fn annotations_text(
    annotations: &BTreeMap<String, String>,
) -> Result<Option<String>, DbError> {
    if annotations.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(annotations)
        .map(Some)
        .map_err(|e| DbError::Other(Box::new(e)))
}

/// Reads what [`annotations_text`] wrote.
pub(super) fn annotations(text: Option<&str>) -> Result<BTreeMap<String, String>, DbError> {
    let read = text.map(serde_json::from_str).transpose();
    Ok(read
        .map_err(|e| DbError::damaged(Box::new(e)))?
        .unwrap_or_default())
}

/// A nullable text as a parameter.
pub(super) fn text_value(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::Text)
}

/// A nullable digest as a parameter.
pub(super) fn key_value(key: Option<&DigestKey>) -> Value<'_> {
    key.map_or(Value::Null, DigestKey::value)
}

/// The limit to ask for: one more than a page has, to learn whether another page follows.
pub(super) fn one_more(limit: usize) -> Value<'static> {
    Value::Int(i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1)))
}

/// The page in what [`one_more`] brought.
pub(super) fn page<T>(mut items: Vec<T>, limit: usize) -> Rows<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Rows { items, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_each_algorithm_come_back_and_keep_their_order() {
        let mut digests: Vec<Digest> = (0..50_u8)
            .map(|n| Algorithm::ALL[usize::from(n % 2)].digest(&[n]))
            .inspect(|wanted| {
                let key = DigestKey::new(wanted);
                assert_eq!(digest(&key.bytes[..key.length]).unwrap(), *wanted);
            })
            .collect();
        digests.sort_unstable();
        let keys = |d: &Digest| DigestKey::new(d).bytes;
        assert!(digests.is_sorted_by_key(keys));
    }

    #[test]
    fn foreign_bytes_are_damage_and_no_panic() {
        for bytes in [&b""[..], &[1], &[9; 33], &[1; 34], &[2; 33]] {
            assert!(
                matches!(digest(bytes), Err(DbError::Damaged(_))),
                "{bytes:?}"
            );
        }
        assert!(annotations(Some("[]")).is_err());
        assert!(unsigned(-1).is_err());
    }

    #[test]
    fn times_come_back_to_the_microsecond() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456);
        assert_eq!(system_time(time(at)), at);
        assert_eq!(time(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
