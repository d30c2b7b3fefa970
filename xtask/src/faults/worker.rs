//! One of the clients that push, move tags and delete until the server dies under them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::book::Shelf;
use super::campaign::Expect;
use super::content::{Blob, Sha};
use super::model::{Key, Span, Value};
use super::wire::{ANY, Body, Client, Reply};
use super::world::{AckLog, World};

mod manifests;
mod uploads;

/// The repository in which every worker moves the same few tags.
pub(crate) const SHARED: &str = "faults/shared";

/// A client.
pub(crate) struct Worker<'w> {
    world: &'w World,
    client: Client,
    rng: Rng,
    log: AckLog,
    /// Repositories that nobody else writes to.
    shelves: [Shelf; 2],
    shared: Option<Arc<Shared>>,
    /// Counts what this worker made, so that each manifest is a different one.
    made: u64,
    id: usize,
}

/// What the shared repository is furnished with, and small blobs that everybody pushes.
pub(crate) struct Shared {
    repo: Arc<str>,
    config: Blob,
    layer: Blob,
    pool: Vec<Blob>,
}

/// How a request ended.
pub(super) enum Told {
    /// It was acknowledged.
    Yes(Reply),
    /// It was refused: nothing has changed.
    No(Reply),
    /// Nobody knows.
    Nothing,
}

/// A pause of a client whose server has ended, so that it does not spin until the crash.
const GONE: Duration = Duration::from_millis(20);
/// How many blobs there are that several workers push at the same time.
const POOL: usize = 12;

impl<'w> Worker<'w> {
    /// A worker whose acknowledgements are written down in `acks`.
    pub(crate) fn new(world: &'w World, id: usize, seed: u64, acks: &Path) -> io::Result<Self> {
        let shelf = |name| Shelf::new(format!("faults/w{id:02}/{name}"));
        Ok(Self {
            world,
            client: Client::new(""),
            rng: Rng::with_seed(seed),
            log: AckLog::open(acks, id)?,
            shelves: [shelf("a"), shelf("b")],
            shared: None,
            made: 0,
            id,
        })
    }

    /// Forgets everything, because the data was wiped.
    pub(crate) fn forget(&mut self) {
        for shelf in &mut self.shelves {
            *shelf = Shelf::new(shelf.repo.to_string());
        }
        self.shared = None;
    }

    /// Pushes what the shared repository needs before anybody else runs.
    pub(crate) fn furnish(&mut self, address: &str) -> Arc<Shared> {
        self.client = Client::new(address);
        let mut sized = |size| Blob::sized(&mut self.rng, size);
        let (config, layer) = (sized(300), sized(4096));
        let pool = (0..POOL).map(|at| sized(100 << at)).collect();
        let shared = Arc::new(Shared {
            repo: SHARED.into(),
            config,
            layer,
            pool,
        });
        for blob in [config, layer] {
            self.push_blob(&shared.repo, blob);
        }
        shared
    }

    /// Takes up the shared repository.
    pub(crate) fn share(&mut self, shared: &Arc<Shared>) {
        self.shared = Some(Arc::clone(shared));
    }

    /// Works until the crash.
    pub(crate) fn live(&mut self, address: &str) {
        self.client = Client::new(address);
        while !self.world.is_crashing() {
            let shelf = self.rng.usize(0..self.shelves.len());
            match self.rng.u32(0..100) {
                0..28 => self.push_some_blob(shelf),
                28..36 => self.mount(shelf),
                36..56 => self.push_some_manifest(shelf),
                56..66 => self.move_shared_tag(),
                66..72 => self.delete_tag(shelf),
                72..75 => self.delete_shared_tag(),
                75..81 => self.delete_manifest(shelf),
                81..89 => self.delete_blob(shelf),
                89..97 => self.read_something(shelf),
                _ => self.leave_upload(shelf),
            }
        }
    }

    /// Sends a request and sorts the answer. Before the crash, no answer and 5xx are findings.
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Body<'_>) -> Told {
        let answer = self.client.call(method, path, headers, body);
        let trouble = self.world.expect == Expect::FailingSyncs;
        let crashing = self.world.is_crashing();
        match answer {
            Ok(reply) if reply.is_success() && !self.world.is_cut() => Told::Yes(reply),
            Ok(_) | Err(_) if crashing => Told::Nothing,
            Ok(reply) if reply.status < 500 => Told::No(reply),
            Ok(_) if trouble => Told::Nothing,
            Err(_) if trouble => {
                thread::sleep(GONE);
                Told::Nothing
            }
            Ok(reply) => {
                let brief = reply.brief();
                self.world.fault(format!(
                    "{method} {path} was answered {brief} without a crash"
                ));
                Told::Nothing
            }
            Err(error) => {
                self.world.fault(format!(
                    "{method} {path} had no answer without a crash: {error}"
                ));
                Told::Nothing
            }
        }
    }

    /// A refusal that should not have been.
    fn surprised(&self, doing: &str, reply: &Reply) {
        if !self.world.is_crashing() {
            self.world
                .fault(format!("{doing} was refused: {}", reply.brief()));
        }
    }

    /// Puts a write into the model and, when it was acknowledged, first into the log on disk.
    fn record(&mut self, writes: &[(Key, Value)], begun: u64, acked: bool) {
        let ended = acked.then(|| self.world.event());
        if acked {
            self.acknowledge(writes, begun);
        }
        let mut model = self.world.model();
        for (key, value) in writes {
            model.write(key.clone(), *value, Span { begun, ended });
        }
    }

    fn acknowledge(&mut self, writes: &[(Key, Value)], begun: u64) {
        self.world.count("acknowledged", 1);
        for (key, value) in writes {
            let value = value.map_or("nothing".to_owned(), |sha| sha.to_string());
            self.note(&format!("{begun} {key} = {value}"));
        }
    }

    fn note(&mut self, line: &str) {
        if let Err(error) = self.log.write(line) {
            self.world.fault(format!(
                "the log of acknowledgements cannot be written: {error}"
            ));
        }
    }

    fn delete_blob(&mut self, shelf: usize) {
        let Some(blob) = self.shelves[shelf].any_free_blob(&mut self.rng) else {
            return;
        };
        let repo = Arc::clone(&self.shelves[shelf].repo);
        let path = format!("/v2/{repo}/blobs/{}", blob.digest);
        let begun = self.world.event();
        let told = self.ask("DELETE", &path, &[], Body::Empty);
        self.shelves[shelf].strike_blob(blob.digest);
        match told {
            Told::No(reply) => return self.surprised(&format!("DELETE {path}"), &reply),
            Told::Yes(_) => self.shelves[shelf].gone.push(blob),
            Told::Nothing => {}
        }
        let acked = matches!(told, Told::Yes(_));
        self.record(&[(Key::Blob(repo, blob.digest), None)], begun, acked);
    }

    /// Reads what must be there, while others write.
    fn read_something(&mut self, shelf: usize) {
        let shelf = &self.shelves[shelf];
        let what = match self.rng.u32(0..3) {
            0 => shelf
                .any_blob(&mut self.rng)
                .map(|b| (format!("blobs/{}", b.digest), b.digest)),
            1 => {
                let manifest = shelf.any_manifest(&mut self.rng);
                manifest.map(|m| (format!("manifests/{}", m.digest), m.digest))
            }
            _ => {
                let tag = shelf.any_tag(&mut self.rng);
                tag.map(|(tag, digest)| (format!("manifests/{tag}"), digest))
            }
        };
        let Some((what, digest)) = what else { return };
        let path = format!("/v2/{}/{what}", shelf.repo);
        match self.ask("GET", &path, &[ANY], Body::Empty) {
            Told::Yes(reply) if Sha::of(&reply.body) != digest => {
                self.world.fault(format!(
                    "GET {path} gave other bytes than those of {digest}"
                ));
            }
            Told::Yes(_) => self.world.count("read", 1),
            Told::No(reply) => self.surprised(&format!("GET {path}"), &reply),
            Told::Nothing => {}
        }
    }

    fn pushed(&self, bytes: usize) {
        self.world.pushed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
