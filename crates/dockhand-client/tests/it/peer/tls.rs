//! Certificates for peers that speak TLS: an authority of the test's own.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

/// An authority and the certificate that it gave.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    root: CertificateDer<'static>,
}

impl Authority {
    /// One that vouches for `names`, or did until 2001 when `expired`.
    pub(crate) fn new(names: &[&str], expired: bool) -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name
            .push(DnType::CommonName, "the authority of a test");
        let root_key = KeyPair::generate().unwrap();
        let root_certificate = root.self_signed(&root_key).unwrap();
        let issuer = Issuer::new(root, root_key);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        if expired {
            leaf.not_before = rcgen::date_time_ymd(2000, 1, 1);
            leaf.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        write("ca.pem", root_certificate.pem()).unwrap();
        write("cert.pem", certificate.pem()).unwrap();
        write("key.pem", key.serialize_pem()).unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            root: root_certificate.der().clone(),
        }
    }

    /// A certificate for `names` that is its own authority, as `openssl req -x509` makes it.
    pub(crate) fn itself(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            root: certificate.der().clone(),
        }
    }

    /// The file with the certificate of the authority itself.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The files of the certificate that it gave and of its key.
    pub(crate) fn identity(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("cert.pem"), folder.join("key.pem"))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.speaking(Arc::new(rustls::server::NoClientAuth))
    }

    pub(super) fn mutual_acceptor(&self) -> TlsAcceptor {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        self.speaking(verifier.build().unwrap())
    }

    fn speaking(&self, verifier: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
