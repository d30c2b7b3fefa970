//! TLS handshakes, and what the log says of those that fail.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::{self, AlertDescription};
use tokio_rustls::server::TlsStream;

use crate::tls::Tls;

/// Lines in the log that may come at once, before they are limited to one a second: enough to see who
/// fails, and nothing that a port scan can fill a disk with.
const LINES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// What came of a new connection on a port that takes TLS.
pub(crate) enum Opened {
    /// It speaks TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// It speaks HTTP without TLS; nothing has been read of it.
    PlainHttp(TcpStream),
}

/// Performs handshakes, and logs those that fail at a limited rate.
#[derive(Debug)]
pub(crate) struct Handshakes {
    lines: DefaultDirectRateLimiter,
    /// Failures since the last line.
    left_out: AtomicU64,
}

impl Handshakes {
    pub(crate) fn new() -> Self {
        let quota = Quota::per_second(NonZeroU32::MIN).allow_burst(LINES_AT_ONCE);
        Self {
            lines: RateLimiter::direct(quota),
            left_out: AtomicU64::new(0),
        }
    }

    /// Opens a connection within `limit`; nothing when that fails.
    pub(crate) async fn open(
        &self,
        tls: &Tls,
        stream: TcpStream,
        address: SocketAddr,
        limit: Duration,
    ) -> Option<Opened> {
        let end = Instant::now() + limit;
        match timeout_at(end, first_byte(&stream)).await {
            // Methods of HTTP begin with a capital letter, records of TLS with a byte below 32.
            Ok(Ok(Some(byte))) if byte.is_ascii_uppercase() => {
                return Some(Opened::PlainHttp(stream));
            }
            Ok(Ok(Some(_))) => {}
            // Probes of load balancers, and browsers that connect ahead, send nothing.
            outcome => {
                tracing::debug!(%address, ?outcome, "a connection sent nothing");
                return None;
            }
        }
        match timeout_at(end, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Some(Opened::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                self.failed(address, &reason(&error));
                None
            }
            Err(_) => {
                self.failed(
                    address,
                    &format!("the client did not finish it within {limit:?}"),
                );
                None
            }
        }
    }

    fn failed(&self, address: SocketAddr, reason: &str) {
        if self.lines.check().is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        tracing::info!(%address, reason, left_out, "a TLS handshake failed");
    }
}

/// The first byte of a connection, which stays there to be read; nothing when the client closes first.
async fn first_byte(stream: &TcpStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let count = stream.peek(&mut byte).await?;
    Ok((count > 0).then_some(byte[0]))
}

/// Why a handshake failed, and what to do where that is clear.
fn reason(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown,
        )) => format!(
            "{error}: the client does not trust the certificate of this server; give it the authority that signed it"
        ),
        Some(rustls::Error::NoCertificatesPresented) => {
            format!("{error}: the client has no certificate, which `client-ca` asks for")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn failures_are_logged_at_a_limited_rate_and_none_is_forgotten() {
        let log = Kept::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let handshakes = Handshakes::new();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1000 {
                handshakes.failed(([192, 0, 2, 1], 4).into(), "a reason");
            }
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let counts = log.lines().map(|line| {
            assert!(
                line.contains("a TLS handshake failed address=192.0.2.1:4 reason=\"a reason\"")
            );
            let (_, count) = line.rsplit_once('=').unwrap();
            count.parse::<u64>().unwrap()
        });
        let left_out = counts.sum::<u64>() + handshakes.left_out.load(Ordering::Relaxed);
        let lines = log.lines().count() as u64;
        assert!((10..500).contains(&lines), "{lines}");
        assert_eq!(lines + left_out, 1000);
    }

    #[test]
    fn a_certificate_that_is_not_trusted_says_what_to_do() {
        let reason = |error| reason(&io::Error::new(io::ErrorKind::InvalidData, error));
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        assert!(reason(alert).ends_with("give it the authority that signed it"));
        let none = reason(rustls::Error::NoCertificatesPresented);
        assert!(none.contains("`client-ca`"), "{none}");
        let other = rustls::Error::AlertReceived(AlertDescription::CloseNotify);
        assert!(!reason(other).contains("trust"));
    }
}
