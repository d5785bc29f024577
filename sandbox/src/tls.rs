//! The server's certificates: an authority of its own and a certificate for the local names.
//! Keys live in memory; only the authority's certificate leaves the process.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A TLS configuration and the authority a client has to trust.
pub struct Tls {
    pub config: Arc<ServerConfig>,
    /// The authority's certificate, PEM.
    pub ca_pem: String,
}

/// Makes an authority and a certificate for `localhost`, `127.0.0.1` and `::1`.
/// `expired` makes one whose time is over.
///
/// # Errors
/// A sentence from the certificate or TLS library.
pub fn make(expired: bool) -> Result<Tls, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(|e| text(&e))?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name
        .push(DnType::CommonName, "CRM sandbox test authority");
    ca.not_before = date_time_ymd(2020, 1, 1);
    ca.not_after = date_time_ymd(2100, 1, 1);
    let ca_key = KeyPair::generate().map_err(|e| text(&e))?;
    let issuer = CertifiedIssuer::self_signed(ca, ca_key).map_err(|e| text(&e))?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names.to_vec()).map_err(|e| text(&e))?;
    leaf.distinguished_name
        .push(DnType::CommonName, "CRM sandbox");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = date_time_ymd(2020, 1, 1);
    leaf.not_after = match expired {
        true => date_time_ymd(2021, 1, 1),
        false => date_time_ymd(2100, 1, 1),
    };
    let leaf_key = KeyPair::generate().map_err(|e| text(&e))?;
    let certificate = leaf.signed_by(&leaf_key, &issuer).map_err(|e| text(&e))?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| text(&e))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(|e| text(&e))?;
    // HTTP/2 is not needed (section 10), and dropping a connection means one request here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        config: Arc::new(config),
        ca_pem: issuer.pem(),
    })
}
