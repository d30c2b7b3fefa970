//! HTTP by hand, for what no client program does on purpose: a body that ends in its middle.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::peer::Peer;

/// No answer here takes longer than a moment; a hang is a failure.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer with its whole body.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// A header by its name in small letters, or an error.
    pub(super) fn header(&self, name: &str) -> Result<&str> {
        let found = self.headers.iter().find(|(is, _)| is == name);
        let found = found.with_context(|| format!("no {name} in the answer {}", self.status))?;
        Ok(found.1.as_str())
    }

    /// The answer, or an error unless it has this status.
    pub(super) fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status,
            "the answer is {}, wanted {status}: {}",
            self.status,
            String::from_utf8_lossy(self.body.get(..500).unwrap_or(&self.body))
        );
        Ok(self)
    }

    /// Path and query of `Location`, be it absolute or relative.
    pub(super) fn location(&self) -> Result<String> {
        let location = self.header("location")?;
        let path = location.split_once("://").map_or(location, |(_, rest)| {
            rest.find('/').map_or("/", |slash| rest.split_at(slash).1)
        });
        Ok(path.to_owned())
    }
}

/// Sends a request with this body and its length, and reads the whole answer.
pub(super) fn send(
    peer: &Peer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let length = body.len().to_string();
    let mut stream = open(peer)?;
    let all: Vec<(&str, &str)> = headers
        .iter()
        .copied()
        .chain([("content-length", length.as_str())])
        .collect();
    head(&mut stream, peer, method, path, &all)?;
    stream.write_all(body)?;
    answer(&mut stream, method == "HEAD").with_context(|| format!("{method} {path}"))
}

/// Sends a request that announces `announced` bytes, sends only `body`, and cuts the connection.
pub(super) fn send_cut(
    peer: &Peer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    announced: usize,
    body: &[u8],
) -> Result<()> {
    let length = announced.to_string();
    let mut stream = open(peer)?;
    let all: Vec<(&str, &str)> = headers
        .iter()
        .copied()
        .chain([("content-length", length.as_str())])
        .collect();
    head(&mut stream, peer, method, path, &all)?;
    stream.write_all(body)?;
    stream.shutdown(Shutdown::Both)?;
    Ok(())
}

/// Sends a body in the coding `chunked` that never ends, and cuts the connection.
pub(super) fn stream_cut(peer: &Peer, method: &str, path: &str, body: &[u8]) -> Result<()> {
    let mut stream = open(peer)?;
    head(
        &mut stream,
        peer,
        method,
        path,
        &[("transfer-encoding", "chunked")],
    )?;
    for chunk in body.chunks(64 << 10) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.shutdown(Shutdown::Both)?;
    Ok(())
}

fn open(peer: &Peer) -> Result<TcpStream> {
    let stream = TcpStream::connect(&peer.authority)
        .with_context(|| format!("cannot connect to {}", peer.authority))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn head(
    stream: &mut TcpStream,
    peer: &Peer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<()> {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let host = &peer.authority;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}\r\n"
    )?;
    Ok(())
}

/// Reads until the end of the connection, since every request asks for it to be closed.
fn answer(stream: &mut TcpStream, no_body: bool) -> Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let end = parsed.parse(&bytes)?;
    ensure!(end.is_complete(), "the answer ended in its head");
    let status = parsed.code.context("no status")?;
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let body = bytes.split_off(end.unwrap());
    let answer = Answer {
        status,
        body,
        headers,
    };
    if let Ok(length) = answer.header("content-length") {
        let whole = no_body || length.parse() == Ok(answer.body.len());
        ensure!(whole, "{} of {length} bytes came", answer.body.len());
    }
    Ok(answer)
}
