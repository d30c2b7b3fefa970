//! The end of a connection whose client is still sending.
//!
//! To close a socket with unread bytes in it resets the connection, and the reset overtakes the answer:
//! the client sees "broken pipe" instead of why it was refused. So the answer goes out, our side of the
//! connection is closed, and what still comes is read and dropped until the client closes too.
//!
//! <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How much is dropped. Clients that read while they write, as Go, curl and nginx do, stop long before;
/// one that writes all before it reads gets its answer up to a body of this size.
const BYTES: usize = 64 << 20;
/// How long that may take: what nginx allows a client by default.
const TIME: Duration = Duration::from_secs(30);
/// How long the client may send nothing. It has the answer by then and does not go on, or it is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How much is read at once.
const BUFFER: usize = 16 * 1024;

/// Reads and drops what a client still sends, within bounds.
#[derive(Debug)]
pub(crate) struct Linger {
    left: usize,
    end: Instant,
    silence: Pin<Box<Sleep>>,
    buffer: Box<[u8]>,
}

impl Linger {
    pub(crate) fn new() -> Self {
        Self {
            left: BYTES,
            end: Instant::now() + TIME,
            silence: Box::pin(tokio::time::sleep(SILENCE)),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        }
    }

    /// Is ready when the client has closed, or a bound is reached.
    pub(crate) fn poll(
        &mut self,
        mut stream: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut stream).poll_read(context, &mut buffer) {
                Poll::Pending => return self.silence.as_mut().poll(context),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            let (count, now) = (buffer.filled().len(), Instant::now());
            if count == 0 || now >= self.end {
                return Poll::Ready(());
            }
            self.left = self.left.saturating_sub(count);
            let until = self.end.min(now + SILENCE);
            self.silence.as_mut().reset(until);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
