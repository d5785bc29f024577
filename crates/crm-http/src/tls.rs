//! TLS: which certificate authorities are trusted. No switch turns checks off (spec A-2).

use crm_core::{Error, ErrorKind, Result};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The system's authorities, or Mozilla's where the system has none, and those in `ca_file`.
///
/// # Errors
/// [`ErrorKind::OptionValue`] when `ca_file` cannot be read or holds no certificate.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // A few of a system's many certificates may be unreadable; the others still serve.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        let n_added = add_file(&mut roots, path)?;
        if n_added == 0 {
            return Err(unusable(path, "It holds no certificate in PEM form."));
        }
    }
    // The provider is named here, so that nothing depends on a choice made for the whole process.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(ErrorKind::CannotConnect, "could not set up TLS")
                .with_detail(error.to_string())
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<usize> {
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error.to_string()))?;
    let mut n_added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(path, &error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(path, &error.to_string()))?;
        n_added += 1;
    }
    Ok(n_added)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::OptionValue,
        format!("could not read ca_file \"{}\"", path.display()),
    )
    .with_detail(why)
}
