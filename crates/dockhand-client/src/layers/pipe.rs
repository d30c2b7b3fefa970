//! Bytes between the tasks of the runtime and a thread that may block.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{ByteStream, Error, ErrorKind, Result};

/// How many chunks wait between both sides: enough that neither stands still at every chunk.
pub(super) const CHUNKS: usize = 8;
/// How many bytes are put into one chunk.
const CHUNK: usize = 128 * 1024;

/// What goes through the pipe.
pub(super) enum Piece {
    Bytes(Bytes),
    /// All was sent. A pipe that closes without it was cut off.
    End,
}

/// Sends a stream to the thread. When the thread wants no more, the rest is still read, so that the
/// stream can say at its end whether it was what it should be.
pub(super) async fn pump(mut stream: ByteStream, sender: Sender<Piece>) -> Result<()> {
    while let Some(chunk) = stream.next().await {
        // A closed pipe is no failure: the thread has seen enough, or says itself what went wrong.
        let _ = sender.send(Piece::Bytes(chunk?)).await;
    }
    let _ = sender.send(Piece::End).await;
    Ok(())
}

/// The end of the pipe that a thread reads from.
pub(crate) struct PipeReader {
    pieces: Receiver<Piece>,
    chunk: Bytes,
    ended: bool,
}

impl PipeReader {
    pub(super) fn new(pieces: Receiver<Piece>) -> Self {
        Self {
            pieces,
            chunk: Bytes::new(),
            ended: false,
        }
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(chunk)) => self.chunk = chunk,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::other("the rest of it did not come")),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The end of a pipe that a thread writes to.
pub(crate) struct PipeWriter {
    chunks: Sender<Bytes>,
    waiting: BytesMut,
}

impl PipeWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = self.waiting.split().freeze();
        let sent = self.chunks.blocking_send(chunk);
        sent.map_err(|_| io::Error::other("nobody reads on"))
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// A writer for a thread, and the task that carries what it writes to `target` until it is dropped.
pub(crate) fn pipe_into<W: AsyncWrite + Unpin>(
    target: &mut W,
) -> (PipeWriter, impl Future<Output = Result<()>>) {
    let (sender, mut receiver) = channel::<Bytes>(CHUNKS);
    let writer = PipeWriter {
        chunks: sender,
        waiting: BytesMut::with_capacity(CHUNK),
    };
    let carry = async move {
        while let Some(chunk) = receiver.recv().await {
            target.write_all(&chunk).await.map_err(unwritable)?;
        }
        target.flush().await.map_err(unwritable)
    };
    (writer, carry)
}

fn unwritable(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write: {error}")).with_source(error)
}
