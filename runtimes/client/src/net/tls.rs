//! Trusted certificates for https: the system's, and those of private authorities.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sorna_core::{Sent, TransportError, TransportErrorKind};

/// Which certificates a gateway may show.
///
/// The system's roots are always trusted. You can add certificate authorities, as a private cluster
/// needs. There is no way to turn verification off.
///
/// Loading takes a millisecond or two, so nothing is read before the first https connection. Clones
/// share what was loaded.
#[derive(Clone, Default)]
pub struct TlsOptions {
    files: Vec<PathBuf>,
    pem: Vec<Vec<u8>>,
    loaded: Arc<Loaded>,
}

#[derive(Default)]
struct Loaded {
    certificates: OnceLock<Vec<CertificateDer<'static>>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsOptions {
    /// Only the system's roots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also trusts the certificate authorities in a PEM file.
    #[must_use]
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self.loaded = Arc::default();
        self
    }

    /// Also trusts the certificate authorities in this PEM text.
    #[must_use]
    pub fn with_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.pem.push(pem.into());
        self.loaded = Arc::default();
        self
    }

    /// All trusted roots: the system's and the added ones. For clients that build their own TLS
    /// configuration.
    ///
    /// Reads files the first time it is called. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the
    /// system's roots, as they do for OpenSSL.
    ///
    /// # Errors
    ///
    /// If an added file cannot be read or contains no certificate, or if there is no root at all; of kind
    /// [`Tls`](TransportErrorKind::Tls), with nothing sent.
    pub fn certificates(&self) -> Result<&[CertificateDer<'static>], TransportError> {
        if let Some(certificates) = self.loaded.certificates.get() {
            return Ok(certificates);
        }
        let certificates = self.load()?;
        Ok(self.loaded.certificates.get_or_init(|| certificates))
    }

    /// The TLS configuration: these roots, TLS 1.2 and 1.3 by ring, HTTP/1.1. Built once.
    ///
    /// # Errors
    ///
    /// As [`certificates`](Self::certificates).
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TransportError> {
        if let Some(config) = self.loaded.config.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        // The system's roots may include old certificates that rustls rejects, so those are
        // skipped; the user's were checked when they were loaded.
        roots.add_parsable_certificates(self.certificates()?.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| error("cannot set up TLS").with_source(source))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = self.loaded.config.get_or_init(|| Arc::new(config));
        Ok(Arc::clone(config))
    }

    fn load(&self) -> Result<Vec<CertificateDer<'static>>, TransportError> {
        let system = rustls_native_certs::load_native_certs();
        let mut certificates = system.certs;
        for path in &self.files {
            let name = path.display();
            let pem = std::fs::read(path).map_err(|source| {
                error(format!("cannot read the CA file {name}")).with_source(source)
            })?;
            certificates.extend(parse(&pem, &format!("the CA file {name}"))?);
        }
        for pem in &self.pem {
            certificates.extend(parse(pem, "the CA given as PEM")?);
        }
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        let error = error("no trusted certificate on this system: install its CA bundle");
        Err(match system.errors.into_iter().next() {
            Some(source) => error.with_source(source),
            None => error,
        })
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        f.debug_struct("TlsOptions")
            .field("files", &files)
            .field("pem", &self.pem.len())
            .finish_non_exhaustive()
    }
}

fn parse(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| error(format!("{name} is not PEM")).with_source(source))?;
    if certificates.is_empty() {
        return Err(error(format!("{name} contains no certificate")));
    }
    for certificate in &certificates {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|source| {
                error(format!(
                    "{name} contains a certificate that cannot be a root"
                ))
                .with_source(source)
            })?;
    }
    Ok(certificates)
}

fn error(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Tls, Sent::Nothing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca() -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).expect("a certificate").pem()
    }

    #[test]
    fn added_authorities_extend_the_systems_roots() {
        let system = TlsOptions::new().load().map_or(0, |roots| roots.len());
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, ca() + &ca()).expect("a file");
        let options = TlsOptions::new().with_ca_file(&file).with_ca_pem(ca());
        let roots = options.certificates().expect("roots");
        assert_eq!(roots.len(), system + 3);
    }

    #[test]
    fn the_configuration_is_built_once_and_shared_by_clones() {
        let options = TlsOptions::new().with_ca_pem(ca());
        let one = options.client_config().expect("a configuration");
        let two = options.clone().client_config().expect("a configuration");
        assert!(Arc::ptr_eq(&one, &two));
        let other = options.with_ca_pem(ca()).client_config().expect("another");
        assert!(!Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn a_bad_ca_is_an_error_that_names_the_file() {
        let missing = TlsOptions::new().with_ca_file("/does/not/exist.pem");
        let error = missing.client_config().expect_err("no such file");
        assert_eq!(error.kind(), TransportErrorKind::Tls);
        assert_eq!(
            error.to_string(),
            "cannot read the CA file /does/not/exist.pem"
        );
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "hello", junk] {
            let error = TlsOptions::new().with_ca_pem(pem).client_config();
            assert_eq!(error.expect_err(pem).kind(), TransportErrorKind::Tls);
        }
    }
}
