//! The assertion of the JWT bearer flow: three parts in base64, signed RS256 (RFC 7523, Salesforce page 2.2).
//!
//! Composed here because the JWT crates bring their own cryptography: the signature is ring's, as TLS is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crm_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Salesforce takes at most five minutes, and the clocks may differ.
const LIFE: Duration = Duration::from_secs(180);

/// A key that signs assertions.
pub(crate) struct SigningKey(RsaKeyPair);

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
}

impl SigningKey {
    /// Reads an RSA key in PEM, PKCS#1 or PKCS#8, not encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] naming `option`; the key is not in it.
    pub(crate) fn from_pem(pem: &SecretString, option: &str) -> Result<Self> {
        let unusable = |hint: &str| {
            Error::new(
                ErrorKind::OptionValue,
                format!("option \"{option}\" does not hold a usable private key"),
            )
            .with_hint(hint)
        };
        let pem = pem.expose_secret();
        if pem.contains("ENCRYPTED") {
            return Err(unusable(
                "The key is encrypted: give it without a passphrase.",
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| unusable("It must be an RSA key in PEM form."))?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(unusable("It must be an RSA key in PEM form.")),
        };
        pair.map(Self)
            .map_err(|_| unusable("It must be an RSA key of 2048 to 4096 bits in PEM form."))
    }

    /// An assertion that the app `issuer` may act for the user `subject`, valid for a few minutes from `now`.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] when the key cannot sign.
    pub(crate) fn assertion(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        now: SystemTime,
    ) -> Result<SecretString> {
        let unsigned = || Error::new(ErrorKind::OptionValue, "the private key cannot sign");
        let expires = (now + LIFE)
            .duration_since(UNIX_EPOCH)
            .map_err(|_| unsigned())?;
        let part = |json: serde_json::Result<Vec<u8>>| {
            json.map(|json| URL_SAFE_NO_PAD.encode(json))
                .map_err(|_| unsigned())
        };
        let header = part(serde_json::to_vec(&Header {
            alg: "RS256",
            typ: "JWT",
        }))?;
        let claims = part(serde_json::to_vec(&Claims {
            iss: issuer,
            sub: subject,
            aud: audience,
            exp: expires.as_secs(),
        }))?;
        let message = format!("{header}.{claims}");
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| unsigned())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    const KEY: &str = include_str!("../tests/fixtures/TEST_ONLY_jwt_key.pem");

    #[test]
    fn an_assertion_says_who_and_verifies() {
        let key = SigningKey::from_pem(&KEY.into(), "private_key").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let assertion = key
            .assertion(
                "consumer",
                "user@example.com",
                "https://login.salesforce.com",
                now,
            )
            .unwrap();
        let assertion = assertion.expose_secret();
        let parts: Vec<&str> = assertion.split('.').collect();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(decode(parts[0]), br#"{"alg":"RS256","typ":"JWT"}"#);
        assert_eq!(
            String::from_utf8(decode(parts[1])).unwrap(),
            r#"{"iss":"consumer","sub":"user@example.com","aud":"https://login.salesforce.com","exp":1180}"#
        );
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.0.public().as_ref());
        let message = format!("{}.{}", parts[0], parts[1]);
        public
            .verify(message.as_bytes(), &decode(parts[2]))
            .unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for (pem, hint) in [
            ("TEST-not-a-key", "RSA key in PEM form"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
                "passphrase",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
                "2048",
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----",
                "RSA",
            ),
        ] {
            let error = SigningKey::from_pem(&pem.into(), "private_key")
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::OptionValue);
            assert!(error.hint().unwrap().contains(hint), "{pem}");
            assert!(
                !format!("{error:?}").contains("AAAA") && !format!("{error:?}").contains("TEST")
            );
        }
    }
}
