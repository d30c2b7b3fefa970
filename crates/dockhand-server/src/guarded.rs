//! A connection that watches its own progress: one that stalls ends with a time-out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::activity::Activity;
use crate::linger::Linger;
use crate::unsent::Unsent;

/// What an HTTP/2 connection begins with: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What has to go out within each period for a reader to count as alive.
const PROGRESS: usize = 1024;

/// A stream with limits on how long it may make no progress.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    limits: Stalls,
    version: Version,
    /// The requests of the connection.
    activity: Activity,
    /// Answers that wait for the client although no write does.
    unsent: Unsent,
    /// Counts down while a head is incomplete.
    head: Option<Pin<Box<Sleep>>>,
    /// Since when writes have been waited for; not over before all is flushed.
    blocked: Option<Instant>,
    /// When [`PROGRESS`] bytes had last gone out.
    progress: Instant,
    /// Bytes since then.
    written: usize,
    /// Counts down while the other end takes too little.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether the client has closed its side.
    is_at_end: bool,
    /// Reads what the client still sends, once our side is closed.
    linger: Option<Linger>,
}

/// How long a connection may stall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stalls {
    /// From the first byte of a head to its last, and before the first head.
    pub(crate) head: Duration,
    /// For each [`PROGRESS`] bytes of what waits to go out.
    pub(crate) write: Duration,
}

/// What is known of the version of HTTP.
#[derive(Clone, Copy, Debug)]
enum Version {
    /// So many bytes came, and all are those of the [`PREFACE`].
    Unknown(usize),
    Http1,
    Http2,
}

impl Version {
    /// What is known once `bytes` have come.
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Unknown(seen) = self else {
            return self;
        };
        let expected = PREFACE.get(seen..).unwrap_or_default();
        let count = expected.len().min(bytes.len());
        if expected.get(..count) != bytes.get(..count) {
            Self::Http1
        } else if count == expected.len() {
            Self::Http2
        } else {
            Self::Unknown(seen + count)
        }
    }
}

impl<S> Guarded<S> {
    /// Watches `stream`. `activity` and `unsent` are told of its requests and answers.
    pub(crate) fn new(stream: S, limits: Stalls, activity: Activity, unsent: Unsent) -> Self {
        Self {
            stream,
            limits,
            version: Version::Unknown(0),
            activity,
            unsent,
            head: None,
            blocked: None,
            progress: Instant::now(),
            written: 0,
            waiting: None,
            is_at_end: false,
            linger: None,
        }
    }

    /// Keeps account of what was read.
    fn received(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.is_at_end = true;
            return;
        }
        if let Version::Unknown(_) = self.version {
            self.version = self.version.after(bytes);
            if let Version::Http2 = self.version {
                self.activity.no_head();
            }
        }
        // In HTTP/2 what comes may be anything, such as the answer to a ping. There, a head that does not
        // end is an idle connection.
        if let Version::Http1 = self.version {
            self.activity.received();
        }
    }

    /// Is ready when a head has been incomplete for too long.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(since) = self.activity.head_since() else {
            self.head = None;
            return Poll::Pending;
        };
        let end = since + self.limits.head;
        ready!(poll_at(&mut self.head, end, context));
        Poll::Ready(timed_out(
            "the client does not finish the head of its request",
        ))
    }

    /// Keeps account of a write.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(count)) => {
                self.written += count;
                if self.written >= PROGRESS {
                    self.written = 0;
                    self.progress = Instant::now();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return self.wait(context).map(Err),
        }
        polled
    }

    /// Keeps account of a flush: once it is done, no write is waited for.
    fn flushed(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if polled.is_pending() {
            return self.wait(context).map(Err);
        }
        self.blocked = None;
        polled
    }

    /// Waits for the other end to take something.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.blocked.get_or_insert_with(Instant::now);
        self.poll_stall(context)
    }

    /// Is ready when the other end has taken too little for too long.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let since = [self.blocked, self.unsent.since()].into_iter().flatten();
        let Some(since) = since.min() else {
            self.waiting = None;
            return Poll::Pending;
        };
        let end = since.max(self.progress) + self.limits.write;
        ready!(poll_at(&mut self.waiting, end, context));
        Poll::Ready(timed_out("the client takes no bytes"))
    }
}

/// Is ready at `end`.
fn poll_at(
    sleep: &mut Option<Pin<Box<Sleep>>>,
    end: Instant,
    context: &mut Context<'_>,
) -> Poll<()> {
    let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
    if sleep.deadline() != end {
        sleep.as_mut().reset(end);
    }
    sleep.as_mut().poll(context)
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
        match polled {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                self.received(bytes);
            }
            Poll::Ready(Err(_)) => {}
            // With nothing to write, this is the only place that a connection is woken at.
            Poll::Pending => {
                if let Poll::Ready(error) = self.poll_stall(context) {
                    return Poll::Ready(Err(error));
                }
                return self.poll_head(context).map(Err);
            }
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.flushed(context, polled)
    }

    /// Closes our side. When the client is still sending, what it sends is read and dropped first: see
    /// [`Linger`].
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.flushed(context, polled))?;
            let silent = matches!(self.version, Version::Unknown(0));
            if silent || self.is_at_end || !self.activity.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let this = &mut *self;
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(&mut this.stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests;
