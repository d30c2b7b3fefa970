//! A connection that watches its own progress: one that stalls ends with a time-out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What hyper needs to see before it knows the version of HTTP: the length of the HTTP/2 preface.
/// Until then it has no time limit of its own, so this one holds.
const PREFACE: usize = 24;
/// What has to go out within each period for a reader to count as alive.
const PROGRESS: usize = 1024;

/// A stream with limits on how long it may make no progress.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    stall: Duration,
    /// Counts down until the first bytes are there.
    opening: Option<Pin<Box<Sleep>>>,
    seen: usize,
    /// Counts down while the other end takes nothing.
    writing: Option<Pin<Box<Sleep>>>,
    written: usize,
}

impl<S> Guarded<S> {
    /// Watches `stream`: its first bytes must come within `first`, and a write that is waited for
    /// must make progress within `stall`.
    pub(crate) fn new(stream: S, first: Duration, stall: Duration) -> Self {
        let opening = Some(Box::pin(tokio::time::sleep(first)));
        Self {
            stream,
            stall,
            opening,
            seen: 0,
            writing: None,
            written: 0,
        }
    }

    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        count: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Ok(done)) => {
                self.written += count(&done);
                if self.written >= PROGRESS {
                    self.written = 0;
                    self.writing = None;
                }
                Poll::Ready(Ok(done))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let end = Instant::now() + self.stall;
                let writing = self
                    .writing
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                match writing.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Err(timed_out("the client takes no bytes"))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(opening) = &mut self.opening {
            if polled.is_pending() {
                if opening.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(timed_out("the client sends nothing")));
                }
            } else {
                self.seen += buffer.filled().len() - before;
                if self.seen >= PREFACE {
                    self.opening = None;
                }
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, polled, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(context, polled, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(context, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wrote(context, polled, |()| 0)
    }
}
