//! HTTP/1.1 as a crash test needs it: a request can be cut at a byte, and an answer that comes before
//! the body is sent is still read. A client library hides both.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long the other side may stay silent before the call counts as hung.
const SILENCE: Duration = Duration::from_secs(30);
/// No answer of these campaigns is larger: the largest blob is 16 MiB.
const LARGEST: u64 = 64 << 20;

/// What every reader of manifests here takes. Distribution hides OCI manifests from `*/*` alone.
pub(crate) const ANY: (&str, &str) = (
    "Accept",
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*",
);

/// What is sent with a request.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// Bytes whose length is announced.
    Whole(&'a [u8]),
    /// Bytes in HTTP chunks, of unknown length to the server.
    Streamed(&'a [u8]),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the request was carried out.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and the beginning of the body, for a person.
    pub(crate) fn brief(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(200).collect();
        format!("{} {}", self.status, body.trim())
    }
}

/// A connection to a registry, opened again when it is lost.
pub(crate) struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of `host:port`; connects at the first call.
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: None,
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When there is no complete answer. Whether the request was carried out is not known then.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> io::Result<Reply> {
        let mut stream = self.connect()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match body {
            Body::Empty if matches!(method, "GET" | "HEAD") => {}
            Body::Empty => head.push_str("Content-Length: 0\r\n"),
            Body::Whole(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
            Body::Streamed(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        let sent = send(stream.get_mut(), &head, body);
        // A refusal may come while the body is still on its way, so that sending fails first.
        let (reply, reusable) = match (receive(&mut stream, method), sent) {
            (Ok(received), _) => received,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(error),
        };
        // After a refusal some of the body may still be unread on the other side.
        let drained = reply.is_success() || matches!(body, Body::Empty);
        self.stream = (reusable && drained).then_some(stream);
        Ok(reply)
    }

    /// Sends the head of a request that announces `announced` bytes, and only the first of them.
    /// The connection is given back: closing it is the cut.
    pub(crate) fn call_in_part(
        &mut self,
        method: &str,
        path: &str,
        announced: usize,
        first: &[u8],
    ) -> io::Result<TcpStream> {
        let mut stream = self.connect()?.into_inner();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {announced}\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(first)?;
        Ok(stream)
    }

    fn connect(&mut self) -> io::Result<BufReader<TcpStream>> {
        if let Some(stream) = self.stream.take() {
            return Ok(stream);
        }
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(BufReader::new(stream))
    }
}

fn send(stream: &mut TcpStream, head: &str, body: Body<'_>) -> io::Result<()> {
    stream.write_all(head.as_bytes())?;
    match body {
        Body::Empty => Ok(()),
        Body::Whole(bytes) => stream.write_all(bytes),
        Body::Streamed(bytes) => {
            for chunk in bytes.chunks(64 << 10) {
                write!(stream, "{:x}\r\n", chunk.len())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
    }
}

/// Reads an answer; says also whether the connection can be used again.
fn receive(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<(Reply, bool)> {
    let (status, headers) = loop {
        let (status, headers) = head(stream)?;
        if status != 100 {
            break (status, headers);
        }
    };
    let mut reply = Reply {
        status,
        headers,
        body: Vec::new(),
    };
    let closes = reply
        .header("connection")
        .is_some_and(|c| c.eq_ignore_ascii_case("close"));
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok((reply, !closes));
    }
    let chunked = reply
        .header("transfer-encoding")
        .is_some_and(|c| c.contains("chunked"));
    let length = reply
        .header("content-length")
        .and_then(|length| length.parse::<u64>().ok());
    match length {
        _ if chunked => reply.body = read_chunks(stream)?,
        Some(length) if length > LARGEST => return Err(malformed("an answer of absurd length")),
        Some(length) => {
            reply.body = vec![0; length as usize];
            stream.read_exact(&mut reply.body)?;
        }
        None => {
            stream.take(LARGEST).read_to_end(&mut reply.body)?;
            return Ok((reply, false));
        }
    }
    Ok((reply, !closes))
}

type Headers = Vec<(String, String)>;

fn head(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, Headers)> {
    let first = line(stream)?;
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| malformed("a status line that is none"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| malformed("a header without colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.ok().filter(|size| *size <= LARGEST);
        let size = size.ok_or_else(|| malformed("a chunk of absurd length"))?;
        let before = body.len();
        stream.by_ref().take(size).read_to_end(&mut body)?;
        if (body.len() - before) as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.by_ref().take(64 << 10).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server sent {what}"),
    )
}

/// Path and query of a `Location`, which may be absolute.
pub(crate) fn path_of(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => location.to_owned(),
    }
}

/// A location with a further parameter.
pub(crate) fn with_query(path: &str, name: &str, value: impl std::fmt::Display) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lose_their_host_and_take_parameters() {
        assert_eq!(path_of("http://127.0.0.1:5000/v2/a?x=1"), "/v2/a?x=1");
        assert_eq!(path_of("/v2/a"), "/v2/a");
        assert_eq!(with_query("/v2/a?x=1", "digest", "d"), "/v2/a?x=1&digest=d");
        assert_eq!(with_query("/v2/a", "digest", "d"), "/v2/a?digest=d");
    }

    #[test]
    fn an_early_refusal_and_a_chunked_answer_are_read() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let answer =
                "HTTP/1.1 507 Full\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            io::copy(&mut stream, &mut io::sink()).unwrap();
        });
        let mut client = Client::new(&address);
        let reply = client
            .call("PUT", "/", &[], Body::Whole(&[7; 100_000]))
            .unwrap();
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (507, b"abc".as_slice())
        );
        drop(client);
        server.join().unwrap();
    }
}
