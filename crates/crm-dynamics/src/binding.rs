//! Ties an NTLM sign-in to the TLS connection it is made on, for servers under extended protection: the
//! `tls-server-end-point` binding of RFC 5929, in the form that the NTLM library takes.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

const PREFIX: &[u8] = b"tls-server-end-point:";

/// Length of the structure before its data: three times a kind, a length and a place, of which the first two are one
/// number less (SEC_CHANNEL_BINDINGS).
const HEAD: usize = 32;

/// The binding to the host that showed `certificate`, in DER.
pub(crate) fn of_certificate(certificate: &[u8]) -> Vec<u8> {
    let hash = digest(algorithm(certificate), certificate);
    let length = PREFIX.len() + hash.as_ref().len();
    let mut bindings = vec![0; HEAD];
    let numbers = [length, HEAD].map(|number| u32::try_from(number).unwrap_or_default());
    bindings[24..28].copy_from_slice(&numbers[0].to_le_bytes());
    bindings[28..32].copy_from_slice(&numbers[1].to_le_bytes());
    bindings.extend_from_slice(PREFIX);
    bindings.extend_from_slice(hash.as_ref());
    bindings
}

/// The digest of the certificate's own signature; SHA-256 in place of older ones, and where it is not told (RFC 5929,
/// section 4.1).
fn algorithm(certificate: &[u8]) -> &'static Algorithm {
    /// Object identifiers in DER: RSA and ECDSA signatures by their digest.
    const KNOWN: &[(&[u8], &Algorithm)] = &[
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
            &SHA384,
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d],
            &SHA512,
        ),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &SHA384),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &SHA512),
    ];
    let identifier = signature_identifier(certificate);
    let known = KNOWN.iter().find(|(known, _)| Some(*known) == identifier);
    known.map_or(&SHA256, |(_, algorithm)| algorithm)
}

/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER … }, … }
fn signature_identifier(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const IDENTIFIER: u8 = 0x06;
    let (content, _) = element(certificate, SEQUENCE)?;
    let (_, after_body) = element(content, SEQUENCE)?;
    let (algorithm, _) = element(after_body, SEQUENCE)?;
    Some(element(algorithm, IDENTIFIER)?.0)
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let n_bytes = usize::from(first & 0x7f);
        let (bytes, after) = rest.split_at_checked(n_bytes)?;
        if n_bytes > size_of::<u32>() {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    (found == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's skeleton: a body, this signature algorithm, a signature.
    fn signed_by(identifier: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], content].concat()
        };
        let content = [
            wrap(0x30, &[7; 300]),
            wrap(0x30, &wrap(0x06, identifier)),
            wrap(0x03, &[0; 64]),
        ];
        wrap(0x30, &content.concat())
    }

    #[test]
    fn the_digest_is_that_of_the_signature() {
        let sha256_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
        let sha1_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
        let sha384_ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
        let sha512_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
        for (identifier, expected) in [
            (&sha256_rsa[..], &SHA256),
            (&sha1_rsa, &SHA256),
            (&sha384_ecdsa, &SHA384),
            (&sha512_rsa, &SHA512),
        ] {
            let certificate = signed_by(identifier);
            assert_eq!(algorithm(&certificate), expected);
            let bindings = of_certificate(&certificate);
            assert_eq!(&bindings[HEAD..HEAD + PREFIX.len()], PREFIX);
            let hash = digest(expected, &certificate);
            assert_eq!(&bindings[HEAD + PREFIX.len()..], hash.as_ref());
            assert_eq!(usize::from(bindings[24]), bindings.len() - HEAD);
        }
    }

    #[test]
    fn what_is_no_certificate_does_no_harm() {
        let whole = signed_by(&[1, 2, 3]);
        for length in 0..whole.len() {
            assert_eq!(algorithm(&whole[..length]), &SHA256);
        }
        for odd in [&[0x30, 0xff][..], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x31, 0]] {
            assert_eq!(algorithm(odd), &SHA256);
        }
    }
}
