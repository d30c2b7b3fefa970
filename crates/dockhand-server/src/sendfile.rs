//! Blobs that the kernel sends from file to socket, without their bytes ever coming up here.
//!
//! hyper knows nothing of files: it writes what a body gives it. So the body of such an answer gives
//! stand-ins, slices of one static that are never sent, and notes in the connection's [`Files`] which
//! part of which file each stands for. Below hyper, [`Sending`] meets them in the order in which they
//! were given, and has the kernel send the parts instead. This holds for HTTP/1 over a plain socket,
//! where answers follow one another; over TLS or HTTP/2 blobs are read as usual.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The most that one stand-in stands for: so large that what hyper does for each piece, and the short
/// packet at its end, are nothing beside it.
const PIECE: usize = 4 << 20;
/// How far apart the bytes are that are looked for in the page cache before a piece is promised.
const PROBE: u64 = 1 << 20;
/// What is read when the page cache does not have the next piece.
const READ: u64 = 256 * 1024;
/// Below this a copy is cheaper than a system call of its own.
pub(crate) const WORTH_IT: u64 = 64 * 1024;

static STAND_IN: [u8; PIECE] = [0; PIECE];

fn is_stand_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

/// The parts of files that a connection is about to send, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(Arc<Mutex<VecDeque<Part>>>);

#[derive(Debug)]
struct Part {
    file: Arc<File>,
    at: u64,
    left: usize,
}

impl Files {
    /// The body of an answer whose bytes are `range` of `file`.
    pub(crate) fn body(&self, file: File, range: Range<u64>) -> Body {
        Body::new(FileBody {
            files: self.clone(),
            file: Arc::new(file),
            at: range.start,
            end: range.end,
            reading: None,
        })
    }

    fn parts(&self) -> MutexGuard<'_, VecDeque<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body of stand-ins, and of bytes where the page cache has none: waiting for the disk is not for
/// the thread that serves others.
struct FileBody {
    files: Files,
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// Whether a piece can most likely be had without the disk: its last byte is in the page cache, and
    /// one of each part before.
    fn is_cached(&self, piece: Range<u64>) -> bool {
        use rustix::io::{ReadWriteFlags, preadv2};
        let is_cached = |at| {
            let mut byte = [0];
            let mut slices = [io::IoSliceMut::new(&mut byte)];
            matches!(
                preadv2(&self.file, &mut slices, at, ReadWriteFlags::NOWAIT),
                Ok(1)
            )
        };
        let steps = (1..).map(|step| piece.start + step * PROBE - 1);
        steps
            .take_while(|at| *at < piece.end)
            .chain([piece.end - 1])
            .all(is_cached)
    }

    fn stand_in(&mut self, length: usize) -> Bytes {
        self.files.parts().push_back(Part {
            file: Arc::clone(&self.file),
            at: self.at,
            left: length,
        });
        Bytes::from_static(STAND_IN.get(..length).unwrap_or_default())
    }

    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        let length = usize::try_from((self.end - at).min(READ)).unwrap_or(0);
        tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes.into())
        })
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            let piece = (self.end - self.at).min(PIECE as u64);
            if self.is_cached(self.at..self.at + piece) {
                let bytes = self.stand_in(usize::try_from(piece).unwrap_or(PIECE));
                self.at += piece;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
        let mut running = self.reading.take().unwrap_or_else(|| self.read());
        let Poll::Ready(read) = Pin::new(&mut running).poll(context) else {
            self.reading = Some(running);
            return Poll::Pending;
        };
        let read = read.map_err(io::Error::other);
        let bytes = match read.and_then(|read| read) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "a blob could not be read to its end");
                return Poll::Ready(Some(Err(error)));
            }
        };
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// A socket that sends parts of files where it is given stand-ins.
#[derive(Debug)]
pub(crate) struct Sending {
    stream: TcpStream,
    files: Files,
}

impl Sending {
    pub(crate) fn new(stream: TcpStream, files: Files) -> Self {
        Self { stream, files }
    }

    /// Writes what stands before a stand-in. The kernel keeps it back for the moment, so that the head of
    /// an answer and the beginning of its file wake the client once, not twice.
    fn poll_write_before(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let written = self.stream.try_io(Interest::WRITABLE, || {
                let (flags, mut none) = (
                    SendFlags::MORE | SendFlags::NOSIGNAL,
                    SendAncillaryBuffer::default(),
                );
                Ok(sendmsg(&self.stream, slices, &mut none, flags)?)
            });
            match written {
                Err(error) if is_passing(&error) => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Sends up to `most` bytes of the part whose turn it is.
    fn poll_send(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let mut parts = self.files.parts();
            let Some(part) = parts.front_mut() else {
                return Poll::Ready(Err(io::Error::other("a stand-in stands for nothing")));
            };
            let count = part.left.min(most);
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                Ok(rustix::fs::sendfile(
                    &self.stream,
                    &part.file,
                    Some(&mut part.at),
                    count,
                )?)
            });
            match sent {
                Ok(0) => {
                    tracing::error!("a blob ends before its size; the connection is cut");
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(sent) => {
                    part.left -= sent;
                    if part.left == 0 {
                        parts.pop_front();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Whether the socket only has to be waited for.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl AsyncRead for Sending {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Sending {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_stand_in(bytes) {
            return self.poll_send(context, bytes.len());
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = slices
            .iter()
            .position(|slice| !slice.is_empty())
            .map_or(slices, |first| slices.get(first..).unwrap_or_default());
        let plain = slices
            .iter()
            .position(|slice| is_stand_in(slice))
            .unwrap_or(slices.len());
        match (plain, slices.first()) {
            (0, Some(stand_in)) => self.poll_send(context, stand_in.len()),
            (_, Some(_)) if plain < slices.len() => {
                self.poll_write_before(context, slices.get(..plain).unwrap_or_default())
            }
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
