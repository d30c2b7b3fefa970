//! What all threads of a campaign share: the model, the count of events, what was found wrong.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::campaign::Expect;
use super::model::Model;
use super::target::Kind;
use super::unfinished::Upload;

/// Beyond so many findings a campaign ends: the first ones tell the story.
pub(crate) const ENOUGH: usize = 10;

/// Shared by everything that runs in a campaign.
pub(crate) struct World {
    /// Which server this is.
    pub(crate) kind: Kind,
    /// What is expected of it.
    pub(crate) expect: Expect,
    model: Mutex<Model>,
    events: AtomicU64,
    /// Set just before the crash: from then on errors are expected, acknowledgements still count.
    pub(crate) crashing: AtomicBool,
    /// Set just before the power is cut: no answer leaves a machine without power. (And ext4 may
    /// say of a sync that it met the shutdown half way that it went well.)
    pub(crate) cut: AtomicBool,
    /// Which crash comes next or is being looked at.
    pub(crate) crash: AtomicUsize,
    uploads: Mutex<Vec<Upload>>,
    found: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// Bytes that were pushed since the data was last wiped.
    pub(crate) pushed: AtomicU64,
}

impl World {
    /// A world in which nothing has happened.
    pub(crate) fn new(kind: Kind, expect: Expect) -> Self {
        Self {
            kind,
            expect,
            model: Mutex::default(),
            events: AtomicU64::new(1),
            crashing: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            crash: AtomicUsize::new(0),
            uploads: Mutex::default(),
            found: Mutex::default(),
            counts: Mutex::default(),
            pushed: AtomicU64::new(0),
        }
    }

    /// The model.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    /// Counts an event, and gives its number.
    pub(crate) fn event(&self) -> u64 {
        self.events.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether the crash has begun.
    pub(crate) fn is_crashing(&self) -> bool {
        self.crashing.load(Ordering::SeqCst)
    }

    /// Whether the power is being cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Something is wrong.
    pub(crate) fn fault(&self, what: impl Display) {
        let mut found = lock(&self.found);
        if found.len() < ENOUGH {
            let what = format!("crash {}: {what}", self.crash.load(Ordering::SeqCst));
            if self.expect != Expect::Caught {
                eprintln!("  FOUND {what}");
            }
            found.push(what);
        }
    }

    /// How much is wrong so far.
    pub(crate) fn faults(&self) -> usize {
        lock(&self.found).len()
    }

    /// What was found wrong.
    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.found))
    }

    /// Leaves an upload for after the restart.
    pub(crate) fn leave(&self, upload: Upload) {
        lock(&self.uploads).push(upload);
    }

    /// The uploads that were left.
    pub(crate) fn take_uploads(&self) -> Vec<Upload> {
        std::mem::take(&mut lock(&self.uploads))
    }

    /// Counts something for the report.
    pub(crate) fn count(&self, what: &'static str, by: u64) {
        *lock(&self.counts).entry(what).or_default() += by;
    }

    /// What was counted.
    pub(crate) fn counted(&self, what: &str) -> u64 {
        lock(&self.counts).get(what).copied().unwrap_or_default()
    }

    /// Forgets what was stored, because the data was wiped. Findings and counts stay.
    pub(crate) fn forget(&self) {
        *self.model() = Model::default();
        self.take_uploads();
        self.pushed.store(0, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one worker was told, on a file system that does not crash: each line is on disk before the
/// next request leaves. It is the evidence when something is found.
pub(crate) struct AckLog(File);

impl AckLog {
    /// Opens the log of a worker.
    pub(crate) fn open(folder: &Path, worker: usize) -> io::Result<Self> {
        let path = folder.join(format!("worker-{worker:02}.log"));
        Ok(Self(File::options().create(true).append(true).open(path)?))
    }

    /// Writes a line down.
    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())?;
        self.0.sync_data()
    }
}
