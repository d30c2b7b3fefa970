//! Answers to requests that hyper cannot parse.
//!
//! hyper answers them by itself, with a status and nothing else, before anything of ours knows that there
//! was a request. Its answer is replaced here on its way out, by one with an error document, an id and a
//! line in the log.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Activity;

/// How an answer of hyper begins; three digits follow.
const BEGIN: &[u8] = b"HTTP/1.1 ";

/// A stream below hyper, which replaces what hyper answers by itself.
///
/// hyper reads a head when all that was asked before is answered and flushed. So whatever it writes when no
/// request has begun since then is its own answer. What handlers answer, such as a blob with such text in
/// it, is never taken for one.
#[derive(Debug)]
pub(crate) struct ParseErrors<S, F> {
    stream: S,
    activity: Activity,
    /// How many requests had begun when the last of them was answered, and all of that was out. Nothing
    /// while something is on its way out.
    settled: Option<u64>,
    answer: F,
    /// What is still to be written of the answer that takes the place of hyper's.
    pending: Bytes,
}

impl<S, F: Fn(StatusCode) -> Bytes> ParseErrors<S, F> {
    /// Has `answer` make the bytes that go out in place of an answer of hyper with this status.
    pub(crate) fn new(stream: S, activity: Activity, answer: F) -> Self {
        Self {
            stream,
            settled: activity.settled(),
            activity,
            answer,
            pending: Bytes::new(),
        }
    }

    /// Whether hyper answers by itself with these bytes; then they are replaced.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let Some(settled) = self.settled.take() else {
            return false;
        };
        if settled != self.activity.begun() {
            return false;
        }
        // In HTTP/2 these are frames, which never begin like this.
        let rest = bytes.strip_prefix(BEGIN);
        let status = rest.and_then(|rest| StatusCode::from_bytes(rest.get(..3)?).ok());
        let Some(status) = status.filter(StatusCode::is_client_error) else {
            return false;
        };
        self.pending = (self.answer)(status);
        true
    }
}

impl<S: AsyncWrite + Unpin, F> ParseErrors<S, F> {
    /// Writes what is left of our answer.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.pending);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.pending.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for ParseErrors<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn(StatusCode) -> Bytes + Unpin> AsyncWrite for ParseErrors<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        // An answer of hyper has no body: it is the first slice that has anything, and the only one.
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty())
            && self.replaces(first)
        {
            return Poll::Ready(Ok(first.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all it has. When no request is open then, all is answered.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.settled = self.activity.settled();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
