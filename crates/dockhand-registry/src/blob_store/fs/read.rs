//! Reading: on the thread of the request while the bytes are in the page cache, on the blocking pool
//! when they are not.
//!
//! A chunk that is in the cache is copied in some 30 µs, less than handing it to another thread and
//! back. A reader that nobody asks for more holds a file descriptor and nothing else, or the bytes of
//! a small blob: these are read at once, because their number says what `fstat` would.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dockhand_oci::UploadId;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::buffers::{Buffer, Buffers, SMALL};
use super::syscalls::{Now, length, length_now, length_of, open, open_now, read_ahead, read_now};
use super::{blocking, failed, is_absent};
use crate::blob_store::{BlobKey, BlobStream, StoreError};
use crate::layout::UPLOADS;

/// What the kernel is asked to read ahead once a file turned out not to be cached: enough for a disk
/// of 1 GB/s to work while the chunk before it is on its way to the client.
const AHEAD: u64 = 1024 * 1024;

/// What all readers of a store share.
pub(super) struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    root: OwnedFd,
    /// Whether opening without a wait works here.
    opens_now: AtomicBool,
    buffers: Arc<Buffers>,
    /// Whether reads that may not wait work here; not on every file system.
    reads_now: AtomicBool,
}

/// What is read, for errors.
#[derive(Clone, Debug)]
enum Source {
    Blob(BlobKey),
    Stage(UploadId),
}

impl Reader {
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let folder = File::open(root);
        let folder = folder.map_err(|e| failed(format!("opening {}", root.display()), e))?;
        let shared = Shared {
            root: folder.into(),
            opens_now: AtomicBool::new(true),
            buffers: Arc::default(),
            reads_now: AtomicBool::new(true),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Opens what is to be read, on this thread if that needs no disk.
    async fn file(&self, path: &str) -> Result<io::Result<File>, StoreError> {
        let shared = &self.shared;
        if let Some(file) = shared.now(|| open_now(&shared.root, path)) {
            return Ok(Ok(file));
        }
        let (shared, path) = (self.shared.clone(), path.to_owned());
        blocking(move || Ok(open(&shared.root, &path))).await
    }

    /// The bytes in `range` of a blob of `size` bytes.
    pub(super) async fn blob(
        &self,
        key: &BlobKey,
        size: u64,
        range: Range<u64>,
    ) -> Result<BlobStream, StoreError> {
        let file = self.open_blob(key).await?;
        if let Some(bytes) = self.shared.small_now(&file, size, &range) {
            return Ok(stream::once(std::future::ready(Ok(bytes))).boxed());
        }
        require(&file, key, size)?;
        Ok(self.stream(file, Source::Blob(key.clone()), range))
    }

    /// The file of a blob of `size` bytes.
    pub(super) async fn blob_file(&self, key: &BlobKey, size: u64) -> Result<File, StoreError> {
        let file = self.open_blob(key).await?;
        require(&file, key, size)?;
        Ok(file)
    }

    async fn open_blob(&self, key: &BlobKey) -> Result<File, StoreError> {
        let opened = self.file(key.as_str()).await?;
        opened.map_err(|e| unopened(key, e))
    }

    /// How many bytes the file of a blob has, found out on this thread if that needs no disk.
    pub(super) async fn blob_length(&self, key: &BlobKey) -> Result<u64, StoreError> {
        let shared = &self.shared;
        if let Some(length) = shared.now(|| length_now(&shared.root, key.as_str())) {
            return Ok(length);
        }
        let (shared, key) = (self.shared.clone(), key.clone());
        blocking(move || length(&shared.root, key.as_str()).map_err(|e| unopened(&key, e))).await
    }

    /// The first `wanted` bytes of a stage.
    pub(super) async fn stage(&self, id: UploadId, wanted: u64) -> Result<BlobStream, StoreError> {
        match self.file(&format!("{UPLOADS}/{id}")).await? {
            Ok(file) => Ok(self.stream(file, Source::Stage(id), 0..wanted)),
            Err(e) if is_absent(&e) => Err(StoreError::StageLost {
                id,
                wanted,
                found: 0,
            }),
            Err(e) => Err(failed(format!("opening the stage of upload {id}"), e)),
        }
    }

    fn stream(&self, file: File, source: Source, range: Range<u64>) -> BlobStream {
        let (at, end) = (range.start, range.end);
        let (shared, state) = (self.shared.clone(), State::Idle(file));
        FileStream {
            shared,
            source,
            at,
            end,
            state,
        }
        .boxed()
    }
}

struct FileStream {
    shared: Arc<Shared>,
    source: Source,
    at: u64,
    end: u64,
    state: State,
}

enum State {
    Idle(File),
    /// A chunk comes from the disk. The file goes with it, so that nothing is shared.
    Waiting(JoinHandle<(File, io::Result<Read>)>),
    Over,
}

/// What reading a chunk came to.
enum Read {
    Whole(Buffer),
    /// The file has only this many bytes.
    Short(u64),
}

impl Stream for FileStream {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let State::Idle(file) = &self.state {
            if self.at >= self.end {
                self.state = State::Over;
                return Poll::Ready(None);
            }
            let mut buffer = self.shared.buffers.take(self.end - self.at);
            let filled = self.shared.fill_now(file, &mut buffer, self.at);
            if buffer.rest(filled).is_empty() {
                return Poll::Ready(Some(Ok(self.pass(buffer))));
            }
            self.fetch(buffer, filled);
        }
        let State::Waiting(job) = &mut self.state else {
            return Poll::Ready(None);
        };
        let done = ready!(Pin::new(job).poll(cx));
        self.state = State::Over;
        Poll::Ready(Some(self.arrived(done)))
    }
}

impl FileStream {
    /// Has the blocking pool fill the rest of a buffer.
    fn fetch(&mut self, buffer: Buffer, filled: usize) {
        let (at, end) = (self.at, self.end);
        if let State::Idle(file) = std::mem::replace(&mut self.state, State::Over) {
            self.state = State::Waiting(spawn_blocking(move || {
                let outcome = fill(&file, buffer, filled, at, end);
                (file, outcome)
            }));
        }
    }

    /// Takes what the blocking pool read. After an error nothing more comes.
    fn arrived(
        &mut self,
        done: Result<(File, io::Result<Read>), JoinError>,
    ) -> Result<Bytes, StoreError> {
        let (file, outcome) = done.map_err(|e| self.source.unreadable(io::Error::other(e)))?;
        match outcome.map_err(|e| self.source.unreadable(e))? {
            Read::Whole(buffer) => {
                self.state = State::Idle(file);
                Ok(self.pass(buffer))
            }
            Read::Short(found) => Err(self.source.short(self.end, found)),
        }
    }

    fn pass(&mut self, buffer: Buffer) -> Bytes {
        let bytes = buffer.freeze();
        self.at += bytes.len() as u64;
        bytes
    }
}

impl Shared {
    /// What `open` gives if it can be had without a wait. It has to open something.
    fn now<T>(&self, open: impl FnOnce() -> Now<T>) -> Option<T> {
        if !self.opens_now.load(Ordering::Relaxed) {
            return None;
        }
        match open() {
            Now::Done(opened) => Some(opened),
            Now::Later => None,
            Now::Never => {
                self.opens_now.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    /// All bytes of a small blob, if that is what is wanted and they can be had without a wait.
    fn small_now(&self, file: &File, size: u64, range: &Range<u64>) -> Option<Bytes> {
        if size == 0 || size > SMALL as u64 || *range != (0..size) {
            return None;
        }
        let mut buffer = self.buffers.take(size);
        let filled = self.fill_now(file, &mut buffer, 0);
        buffer.rest(filled).is_empty().then(|| buffer.freeze())
    }

    /// Fills what it can of a buffer without any wait, and says how much that was. Less than wanted
    /// may also mean that the file ends; who waits for the disk finds out.
    fn fill_now(&self, file: &File, buffer: &mut Buffer, at: u64) -> usize {
        if !self.reads_now.load(Ordering::Relaxed) {
            return 0;
        }
        match read_now(file, buffer.rest(0), at) {
            Now::Done(read) => read,
            Now::Later => 0,
            Now::Never => {
                self.reads_now.store(false, Ordering::Relaxed);
                0
            }
        }
    }
}

/// Refuses a file that has fewer bytes than the blob.
fn require(file: &File, key: &BlobKey, size: u64) -> Result<(), StoreError> {
    let found = length_of(file).map_err(|e| failed(format!("looking at {key:?}"), e))?;
    if found < size {
        let (key, wanted) = (key.clone(), size);
        return Err(StoreError::Truncated { key, wanted, found });
    }
    Ok(())
}

fn unopened(key: &BlobKey, error: io::Error) -> StoreError {
    if is_absent(&error) {
        StoreError::Missing(key.clone())
    } else {
        failed(format!("opening {key:?}"), error)
    }
}

/// Fills the rest of a buffer, whose bytes begin at `at`, and has the kernel go on towards `end`.
fn fill(file: &File, mut buffer: Buffer, mut filled: usize, at: u64, end: u64) -> io::Result<Read> {
    while !buffer.rest(filled).is_empty() {
        match file.read_at(buffer.rest(filled), at + filled as u64) {
            Ok(0) => return Ok(Read::Short(file.metadata()?.len())),
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let next = at + filled as u64;
    read_ahead(file, next, AHEAD.min(end - next));
    Ok(Read::Whole(buffer))
}

impl Source {
    fn unreadable(&self, error: io::Error) -> StoreError {
        let what = match self {
            Self::Blob(key) => format!("reading {key:?}"),
            Self::Stage(id) => format!("reading the stage of upload {id}"),
        };
        failed(what, error)
    }

    fn short(&self, wanted: u64, found: u64) -> StoreError {
        match self {
            Self::Blob(key) => StoreError::Truncated {
                key: key.clone(),
                wanted,
                found,
            },
            Self::Stage(id) => StoreError::StageLost {
                id: *id,
                wanted,
                found,
            },
        }
    }
}
