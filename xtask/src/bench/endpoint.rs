//! Where a server is reached, over plain TCP or over TLS 1.3, and a connection to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};

/// Connecting on the same machine takes no time unless nobody listens.
const CONNECT: Duration = Duration::from_secs(5);
/// The slowest single response: 1 GiB made durable beside other work.
const SILENCE: Duration = Duration::from_secs(120);

/// The address of a server, and how to verify its certificate if it has one.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

impl From<&Self> for Endpoint {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

impl Endpoint {
    /// A server that speaks TLS, with a certificate of this authority.
    pub(crate) fn secure(address: SocketAddr, authority: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(authority)
            .with_context(|| format!("cannot read {}", authority.display()))?;
        roots.add(certificate)?;
        let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            tls: Some(Arc::new(config)),
        })
    }

    /// Opens a connection. Over TLS, the handshake is done when this returns.
    pub(super) fn connect(&self) -> Result<Stream> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Stream::Plain(stream));
        };
        let name = ServerName::from(self.address.ip());
        let mut session = ClientConnection::new(Arc::clone(config), name)?;
        session
            .complete_io(&mut stream)
            .with_context(|| format!("TLS handshake with {} failed", self.address))?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, stream))))
    }
}

/// A connection to an [`Endpoint`].
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
