//! TLS by certificate files, which are looked at again now and then.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::exposure;
use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, version};

/// Which files TLS is made of, and what is asked of clients.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// Certificate authorities that clients must have a certificate of, PEM.
    pub client_authorities: Option<PathBuf>,
    /// Whether TLS 1.2 is refused.
    pub only_1_3: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file has not what it should have.
    #[error("{path} holds {problem}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The parts do not fit together.
    #[error("the certificate {certificate} and its key do not make a server: {source}", certificate = certificate.display())]
    Together {
        /// The certificate file.
        certificate: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

/// How long a reload that somebody asked for is waited for: far longer than reading three files takes.
const RELOAD_WAIT: Duration = Duration::from_secs(10);

/// TLS as it is now.
#[derive(Clone, Debug)]
pub struct Tls {
    files: TlsFiles,
    /// What the files held at the start.
    first: Arc<Contents>,
    current: Arc<ArcSwap<ServerConfig>>,
    /// Wakes [`Tls::follow`] before its time.
    asked: Arc<Notify>,
    /// Wakes who has asked, once that is done.
    answered: Arc<Notify>,
}

/// What the files held when they were last looked at.
#[derive(Clone, PartialEq, Eq)]
struct Contents(Vec<Vec<u8>>);

/// Shows nothing: one of them is the private key.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let config = configure(&files, &contents)?;
        exposure::warn_of_key(&files.key);
        Ok(Self {
            files,
            first: Arc::new(contents),
            current: Arc::new(ArcSwap::from_pointee(config)),
            asked: Arc::default(),
            answered: Arc::default(),
        })
    }

    /// Takes the next connection by the certificate of this moment.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Has [`Tls::follow`] read the files now, and say what came of it. Waits for that, but not for ever:
    /// reading may hang.
    pub async fn reload(&self) {
        let mut answered = std::pin::pin!(self.answered.notified());
        answered.as_mut().enable();
        self.asked.notify_one();
        if tokio::time::timeout(RELOAD_WAIT, answered).await.is_err() {
            tracing::warn!(
                "the certificate files have not been read yet; the last certificate stays"
            );
        }
    }

    /// Reads the files every `period`, and when [`Tls::reload`] asks for it, and takes over what has
    /// changed. What cannot be used is reported, and the last good certificate stays. Runs for ever.
    pub async fn follow(self, period: Duration) {
        let mut known = Contents::clone(&self.first);
        let mut failing = false;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(period) => false,
                () = self.asked.notified() => true,
            };
            let loaded = self.look().await.and_then(|contents| {
                if contents == known {
                    return Ok(None);
                }
                configure(&self.files, &contents).map(|config| Some((contents, config)))
            });
            let certificate = self.files.certificate.display();
            match loaded {
                Ok(None) => {
                    failing = false;
                    if asked {
                        tracing::info!(%certificate, "the certificate has not changed");
                    }
                }
                Ok(Some((contents, config))) => {
                    self.current.store(Arc::new(config));
                    (known, failing) = (contents, false);
                    tracing::info!(%certificate, "the certificate was reloaded");
                    let key = self.files.key.clone();
                    tokio::task::spawn_blocking(move || exposure::warn_of_key(&key));
                }
                Err(error) if asked || !failing => {
                    failing = true;
                    tracing::error!(%error, "the new certificate cannot be used; the last one stays");
                }
                Err(_) => {}
            }
            if asked {
                self.answered.notify_waiters();
            }
        }
    }

    /// What the files hold now. A file may lie where reading hangs; that must not hold up a thread that
    /// serves requests.
    async fn look(&self) -> Result<Contents, TlsError> {
        let files = self.files.clone();
        let path = files.certificate.clone();
        let reading = tokio::task::spawn_blocking(move || read(&files));
        reading.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(TlsError::Read { path, source })
        })
    }
}

fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
    let paths = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_authorities.as_ref(),
    ];
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|source| TlsError::Read {
            path: path.clone(),
            source,
        })
    };
    let contents: Result<_, _> = paths.into_iter().flatten().map(read).collect();
    contents.map(Contents)
}

fn configure(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, TlsError> {
    let content = |index: usize| contents.0.get(index).map_or(&[][..], Vec::as_slice);
    let chain = certificates(&files.certificate, content(0))?;
    let key = PrivateKeyDer::from_pem_slice(content(1)).map_err(|error| TlsError::Content {
        path: files.key.clone(),
        problem: format!("no private key in PEM form ({error})"),
    })?;
    let together = |source| TlsError::Together {
        certificate: files.certificate.clone(),
        source,
    };
    let versions: &[_] = if files.only_1_3 {
        &[&version::TLS13]
    } else {
        &[&version::TLS13, &version::TLS12]
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(together)?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let (_, unusable) = roots.add_parsable_certificates(certificates(path, content(2))?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| TlsError::Content {
                path: path.clone(),
                problem: format!("no usable certificate authority ({unusable} unusable; {error})"),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(together)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if files.http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(config)
}

fn certificates(
    path: &std::path::Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError::Content {
            path: path.to_owned(),
            problem: "no certificate in PEM form".to_owned(),
        }),
        Err(error) => Err(TlsError::Content {
            path: path.to_owned(),
            problem: format!("a malformed certificate ({error})"),
        }),
    }
}
