//! A connection that watches its own progress: one that stalls ends with a time-out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::unsent::Unsent;

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
    /// Answers that wait for the client although no write does.
    unsent: Unsent,
    /// Since when writes have been waited for; not over before all is flushed.
    blocked: Option<Instant>,
    /// When [`PROGRESS`] bytes had last gone out.
    progress: Instant,
    /// Bytes since then.
    written: usize,
    /// Counts down while the other end takes too little.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// Watches `stream`: its first bytes must come within `first`, and while a write is waited for or
    /// something is `unsent`, [`PROGRESS`] bytes must go out within each `stall`.
    pub(crate) fn new(stream: S, first: Duration, stall: Duration, unsent: Unsent) -> Self {
        let opening = Some(Box::pin(tokio::time::sleep(first)));
        Self {
            stream,
            stall,
            opening,
            seen: 0,
            unsent,
            blocked: None,
            progress: Instant::now(),
            written: 0,
            waiting: None,
        }
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
        let end = since.max(self.progress) + self.stall;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if waiting.deadline() != end {
            waiting.as_mut().reset(end);
        }
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(timed_out("the client takes no bytes"))
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
        // With nothing to write, this is the only place that a connection is woken at.
        if polled.is_pending()
            && let Poll::Ready(error) = self.poll_stall(context)
        {
            return Poll::Ready(Err(error));
        }
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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.flushed(context, polled)
    }
}

#[cfg(test)]
mod tests;
