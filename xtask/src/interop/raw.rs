//! HTTP by hand, for what no client program does on purpose: a body that ends in its middle.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::peer::{Peer, Scheme};

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
    let mut connection = Connection::open(peer)?;
    connection.head(
        method,
        path,
        headers,
        ("content-length", &body.len().to_string()),
    )?;
    connection.stream.write_all(body)?;
    connection.stream.flush()?;
    answer(&mut *connection.stream, method == "HEAD").with_context(|| format!("{method} {path}"))
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
    let mut connection = Connection::open(peer)?;
    connection.head(
        method,
        path,
        headers,
        ("content-length", &announced.to_string()),
    )?;
    connection.stream.write_all(body)?;
    connection.cut()
}

/// Sends a body in the coding `chunked` that never ends, and cuts the connection.
pub(super) fn stream_cut(peer: &Peer, method: &str, path: &str, body: &[u8]) -> Result<()> {
    let mut connection = Connection::open(peer)?;
    connection.head(method, path, &[], ("transfer-encoding", "chunked"))?;
    for chunk in body.chunks(64 << 10) {
        write!(connection.stream, "{:x}\r\n", chunk.len())?;
        connection.stream.write_all(chunk)?;
        connection.stream.write_all(b"\r\n")?;
    }
    connection.cut()
}

/// What TLS and plain connections have in common.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection for one request.
struct Connection {
    stream: Box<dyn Stream>,
    /// The same connection below TLS, to be cut without a farewell.
    socket: TcpStream,
    host: String,
}

impl Connection {
    fn open(peer: &Peer) -> Result<Self> {
        let socket = TcpStream::connect(&peer.authority)
            .with_context(|| format!("cannot connect to {}", peer.authority))?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        let below = socket.try_clone()?;
        let stream: Box<dyn Stream> = match peer.scheme {
            Scheme::Http => Box::new(below),
            Scheme::Https => Box::new(StreamOwned::new(tls(peer)?, below)),
        };
        let host = peer.authority.clone();
        Ok(Self {
            stream,
            socket,
            host,
        })
    }

    fn head(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: (&str, &str),
    ) -> Result<()> {
        let host = ("host", self.host.as_str());
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in [host, ("connection", "close"), length]
            .iter()
            .chain(headers)
        {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        Ok(self.stream.write_all(text.as_bytes())?)
    }

    fn cut(mut self) -> Result<()> {
        self.stream.flush()?;
        Ok(self.socket.shutdown(Shutdown::Both)?)
    }
}

/// TLS that trusts the authority of the peer alone.
fn tls(peer: &Peer) -> Result<ClientConnection> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&peer.authority_certificate)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (host, _) = peer
        .authority
        .rsplit_once(':')
        .context("an address without a port")?;
    let name = ServerName::try_from(host.to_owned())?;
    Ok(ClientConnection::new(Arc::new(config), name)?)
}

/// Reads until the end of the connection, since every request asks for it to be closed.
fn answer(stream: &mut dyn Stream, no_body: bool) -> Result<Answer> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // TLS that ends without a farewell; whether the body is whole is looked at below.
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
        _ => {}
    }
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
