//! What the registry must hold: a register for each blob, manifest and tag, with the writes that
//! were acknowledged or may have happened.
//!
//! A value may be read when some write put it there and no acknowledged write began after that one
//! was acknowledged. A write without an answer may have happened or not, at any time until the
//! server died. This is the necessary condition of a linearizable register, and all that is needed
//! to tell a lost acknowledgement from a race.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::content::Sha;

/// A thing that is there or not, by the repository through which it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A blob, by digest.
    Blob(Arc<str>, Sha),
    /// A manifest, by digest.
    Manifest(Arc<str>, Sha),
    /// What a tag points at.
    Tag(Arc<str>, Arc<str>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(repo, sha) => write!(f, "blob {repo}@{sha}"),
            Self::Manifest(repo, sha) => write!(f, "manifest {repo}@{sha}"),
            Self::Tag(repo, tag) => write!(f, "tag {repo}:{tag}"),
        }
    }
}

/// What a register holds: the digest that is there, or nothing.
pub(crate) type Value = Option<Sha>;

/// When a write ran, by the campaign's own count of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Before the request was sent.
    pub(crate) begun: u64,
    /// After it was acknowledged; `None` when nobody knows how it ended.
    pub(crate) ended: Option<u64>,
}

impl Span {
    fn is_after(self, other: Self) -> bool {
        self.ended.is_some() && other.ended.is_some_and(|ended| self.begun > ended)
    }
}

/// The writes of one register that still matter.
#[derive(Clone, Debug)]
struct Register(Vec<(Value, Span)>);

impl Register {
    /// Before anything happened, nothing was there.
    fn new() -> Self {
        Self(vec![(
            None,
            Span {
                begun: 0,
                ended: Some(0),
            },
        )])
    }

    fn write(&mut self, value: Value, span: Span) {
        self.0.push((value, span));
        let all = self.0.clone();
        self.0
            .retain(|(_, old)| !all.iter().any(|(_, new)| new.is_after(*old)));
    }

    fn holds(&self, value: Value) -> bool {
        self.0.iter().any(|(written, _)| *written == value)
    }

    fn settle(&mut self, value: Value, at: u64) {
        self.0 = vec![(
            value,
            Span {
                begun: at,
                ended: Some(at),
            },
        )];
    }
}

/// Everything that was written.
#[derive(Debug, Default)]
pub(crate) struct Model {
    registers: HashMap<Key, Register>,
    /// Written to since the last look.
    touched: HashSet<Key>,
    /// The subject of each manifest that has one.
    subjects: HashMap<Sha, Sha>,
}

impl Model {
    /// Records a write.
    pub(crate) fn write(&mut self, key: Key, value: Value, span: Span) {
        self.touched.insert(key.clone());
        self.registers
            .entry(key)
            .or_insert_with(Register::new)
            .write(value, span);
    }

    /// Records the delete of a manifest: every tag that points at it goes with it, and one that
    /// perhaps points at it perhaps goes.
    pub(crate) fn delete_manifest(&mut self, repo: &Arc<str>, sha: Sha, span: Span) {
        let unsure = Span {
            ended: None,
            ..span
        };
        let pointing = self.registers.iter().filter(|(key, register)| {
            matches!(key, Key::Tag(of, _) if of == repo) && register.holds(Some(sha))
        });
        let pointing: Vec<_> = pointing
            .map(|(key, r)| (key.clone(), r.0.len() == 1))
            .collect();
        for (key, surely) in pointing {
            self.write(key, None, if surely { span } else { unsure });
        }
        self.write(Key::Manifest(Arc::clone(repo), sha), None, span);
    }

    /// Notes that a manifest refers to another.
    pub(crate) fn refers(&mut self, manifest: Sha, subject: Sha) {
        self.subjects.insert(manifest, subject);
    }

    /// What a manifest refers to.
    pub(crate) fn subject(&self, manifest: Sha) -> Option<Sha> {
        self.subjects.get(&manifest).copied()
    }

    /// What was written to since this was last asked.
    pub(crate) fn take_touched(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.touched).into_iter().collect()
    }

    /// Everything that was ever written to.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.registers.keys().cloned().collect()
    }

    /// Takes what was found after a restart as what is there from now on; `Err` with what had to be
    /// there if that is not it.
    pub(crate) fn observe(&mut self, key: &Key, value: Value, at: u64) -> Result<(), String> {
        let register = self
            .registers
            .entry(key.clone())
            .or_insert_with(Register::new);
        let held = register.holds(value);
        let expected = register.clone();
        register.settle(value, at);
        if held {
            Ok(())
        } else {
            Err(expected.to_string())
        }
    }

    /// The tags that a repository must list, when every register of it has been settled.
    pub(crate) fn tags(&self) -> HashMap<Arc<str>, HashSet<Arc<str>>> {
        let mut tags: HashMap<_, HashSet<_>> = HashMap::new();
        for (key, register) in &self.registers {
            if let Key::Tag(repo, tag) = key {
                let of_repo = tags.entry(Arc::clone(repo)).or_default();
                if !register.holds(None) {
                    of_repo.insert(Arc::clone(tag));
                }
            }
        }
        tags
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (value, span)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            match value {
                Some(sha) => write!(f, "{sha}")?,
                None => f.write_str("nothing")?,
            }
            match span.ended {
                Some(ended) => write!(f, " (acknowledged, event {ended})")?,
                None => write!(f, " (no answer, event {})", span.begun)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Key {
        Key::Tag("a".into(), "latest".into())
    }

    fn acked(begun: u64, ended: u64) -> Span {
        Span {
            begun,
            ended: Some(ended),
        }
    }

    #[test]
    fn an_acknowledged_write_must_be_found() {
        let (old, new) = (Sha::of(b"old"), Sha::of(b"new"));
        let mut model = Model::default();
        model.write(tag(), Some(old), acked(1, 2));
        model.write(tag(), Some(new), acked(3, 4));
        assert!(model.observe(&tag(), Some(old), 9).is_err());
        model.write(tag(), None, acked(10, 11));
        assert!(
            model.observe(&tag(), Some(new), 12).is_err(),
            "a delete must not be undone"
        );
    }

    #[test]
    fn writes_that_ran_at_the_same_time_or_without_answer_may_win() {
        let (one, two, lost) = (Sha::of(b"1"), Sha::of(b"2"), Sha::of(b"3"));
        let mut model = Model::default();
        model.write(
            tag(),
            Some(lost),
            Span {
                begun: 1,
                ended: None,
            },
        );
        model.write(tag(), Some(one), acked(2, 5));
        model.write(tag(), Some(two), acked(3, 4));
        for value in [one, two, lost] {
            assert!(model.registers[&tag()].holds(Some(value)));
        }
        assert!(model.observe(&tag(), None, 6).is_err());
        assert!(
            model.observe(&tag(), None, 7).is_ok(),
            "what was found is what is there now"
        );
    }

    #[test]
    fn a_deleted_manifest_takes_its_tags_along() {
        let (sha, other) = (Sha::of(b"1"), Sha::of(b"2"));
        let repo: Arc<str> = "a".into();
        let second = Key::Tag("a".into(), "second".into());
        let mut model = Model::default();
        model.write(tag(), Some(sha), acked(1, 2));
        model.write(second.clone(), Some(other), acked(3, 4));
        model.write(
            second.clone(),
            Some(sha),
            Span {
                begun: 5,
                ended: None,
            },
        );
        model.delete_manifest(&repo, sha, acked(6, 7));
        assert!(!model.registers[&tag()].holds(Some(sha)), "it surely went");
        assert!(
            model.registers[&second].holds(Some(other)),
            "it perhaps never pointed there"
        );
        assert!(model.observe(&second, None, 9).is_ok());
        assert_eq!(model.tags()["a"], HashSet::new());
    }
}
