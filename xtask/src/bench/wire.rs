//! A client that costs little: one blocking connection, requests as bytes, answers read into one
//! buffer. It shares the processors with the servers, so whatever it spends is missing there.

use std::io::{Read as _, Write as _};
use std::str;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::endpoint::{Endpoint, Stream};

/// Reads of this size cost few calls, and stay in the cache of a core.
const BUFFER: usize = 256 * 1024;
/// More than any of the servers sends.
const HEADERS: usize = 64;

/// What the head of an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) length: Option<u64>,
    pub(crate) location: Option<String>,
    chunked: bool,
    closes: bool,
}

/// An answer that was read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An error with the body unless the status is this one.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        let body = String::from_utf8_lossy(&self.body);
        ensure!(
            self.head.status == status,
            "answered {} instead of {status}: {body:.300}",
            self.head.status
        );
        Ok(self)
    }
}

/// A connection to one server, kept alive, opened anew when the server closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    stream: Stream,
    buffer: Vec<u8>,
    // What was read and not used lies in `buffer[from..to]`.
    from: usize,
    to: usize,
    closed: bool,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(endpoint: impl Into<Endpoint>) -> Result<Self> {
        let endpoint = endpoint.into();
        let stream = endpoint.connect()?;
        Ok(Self {
            endpoint,
            stream,
            buffer: vec![0; BUFFER],
            from: 0,
            to: 0,
            closed: false,
        })
    }

    /// Sends bytes: the head of a request, or a part of its body.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if self.closed {
            *self = Self::open(&self.endpoint)?;
        }
        self.stream
            .write_all(bytes)
            .context("cannot send the request")
    }

    /// Sends a request and reads the whole answer; one to HEAD has no body whatever its length says.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.send(request)?;
        self.answer(!request.starts_with(b"HEAD "))
    }

    /// Reads a whole answer.
    pub(crate) fn answer(&mut self, has_body: bool) -> Result<Answer> {
        let head = self.head()?;
        let mut body = Vec::new();
        if has_body {
            self.body(&head, |bytes| body.extend_from_slice(bytes))?;
        }
        Ok(Answer { head, body })
    }

    /// Reads the head of an answer.
    pub(crate) fn head(&mut self) -> Result<Head> {
        loop {
            if let Some((head, length)) = parse(&self.buffer[self.from..self.to])? {
                self.from += length;
                self.closed = head.closes;
                return Ok(head);
            }
            if self.from > 0 {
                self.buffer.copy_within(self.from..self.to, 0);
                self.to -= self.from;
                self.from = 0;
            }
            ensure!(self.to < BUFFER, "the head of the answer does not end");
            let read = self
                .stream
                .read(&mut self.buffer[self.to..])
                .context("no answer")?;
            ensure!(
                read > 0,
                "the server closed the connection instead of answering"
            );
            self.to += read;
        }
    }

    /// Reads a body of this length and throws it away; stops early at `until`, in the middle of it.
    ///
    /// Returns how much came.
    pub(crate) fn drain(&mut self, length: u64, until: Instant) -> Result<u64> {
        let mut left = length;
        loop {
            left -= self.take(left).len() as u64;
            if left == 0 {
                return Ok(length);
            }
            // An early stop leaves the rest of the body on the wire.
            if Instant::now() >= until {
                self.closed = true;
                return Ok(length - left);
            }
            self.fill()?;
        }
    }

    /// Reads a body piece by piece. Returns its length.
    pub(crate) fn body(&mut self, head: &Head, mut each: impl FnMut(&[u8])) -> Result<u64> {
        if !head.chunked {
            let length = head.length.unwrap_or(0);
            self.piece(length, &mut each)?;
            return Ok(length);
        }
        let mut length = 0;
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16)
                .with_context(|| format!("chunk of a strange size `{line}`"))?;
            self.piece(size, &mut each)?;
            ensure!(
                self.line()?.is_empty(),
                "no end of line after a chunk or the last one"
            );
            if size == 0 {
                return Ok(length);
            }
            length += size;
        }
    }

    fn piece(&mut self, length: u64, each: &mut impl FnMut(&[u8])) -> Result<()> {
        let mut left = length;
        loop {
            let bytes = self.take(left);
            left -= bytes.len() as u64;
            each(bytes);
            if left == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if self.from == self.to {
                self.fill()?;
            }
            line.extend_from_slice(self.take(1));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// What has been read already, up to `most` bytes.
    fn take(&mut self, most: u64) -> &[u8] {
        let from = self.from;
        let ready = self.to - from;
        self.from += usize::try_from(most).map_or(ready, |most| most.min(ready));
        &self.buffer[from..self.from]
    }

    /// Reads more, when nothing is left.
    fn fill(&mut self) -> Result<()> {
        let read = self
            .stream
            .read(&mut self.buffer)
            .context("the body stopped")?;
        ensure!(
            read > 0,
            "the server closed the connection in the middle of a body"
        );
        (self.from, self.to) = (0, read);
        Ok(())
    }
}

/// Reads the head of an answer and its length, when all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => bail!("this is no answer: {error}"),
    };
    let status = response
        .code
        .ok_or_else(|| anyhow!("the answer has no status"))?;
    let mut head = Head {
        status,
        ..Head::default()
    };
    for header in response.headers.iter() {
        let value = || str::from_utf8(header.value).unwrap_or_default();
        if header.name.eq_ignore_ascii_case("content-length") {
            head.length = Some(value().parse().context("Content-Length is no number")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value().eq_ignore_ascii_case("chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes = value().eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("location") {
            head.location = Some(value().to_owned());
        }
    }
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that takes one connection, sends this, and closes after the client did.
    fn serving(answer: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for piece in answer.chunks(7) {
                stream.write_all(piece).unwrap();
            }
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read(&mut [0; 1024]);
        });
        Connection::open(address).unwrap()
    }

    #[test]
    fn answers_are_told_apart() {
        let mut connection = serving(
            b"HTTP/1.1 202 Accepted\r\nLocation: /x\r\ncontent-length: 0\r\n\r\n\
              HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
              HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        );
        let first = connection.answer(true).unwrap();
        assert_eq!(
            (first.head.status, first.head.location.as_deref()),
            (202, Some("/x"))
        );
        assert_eq!(connection.answer(true).unwrap().body, b"abc0123456789");
        assert_eq!(connection.answer(true).unwrap().body, b"hello");
        assert_eq!(connection.answer(false).unwrap().head.length, Some(5000));
        let error = connection.answer(true).unwrap_err().to_string();
        assert!(error.contains("closed the connection instead"), "{error}");
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        let mut connection = serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
        let head = connection.head().unwrap();
        let error = connection.body(&head, |_| ()).unwrap_err().to_string();
        assert!(error.contains("in the middle of a body"), "{error}");
    }

    #[test]
    fn a_body_can_be_left() {
        let mut connection =
            serving(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nfirst of many");
        let head = connection.head().unwrap();
        let drained = connection
            .drain(head.length.unwrap(), Instant::now())
            .unwrap();
        assert!(drained < 900 && connection.closed);
    }

    #[test]
    fn a_wrong_status_shows_the_body() {
        let mut connection = serving(b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nno tag");
        let error = connection
            .answer(true)
            .unwrap()
            .expect(200)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "answered 404 instead of 200: no tag");
    }
}
