//! NTLM as an on-premise server speaks it: the challenge, and NTLMv2 answers verified against the users of
//! the domain. Section 2.5 of the protocol page and MS-NLMP; NTLMv1 is refused.

use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::{Digest as _, Md4};
use md5::Md5;
use ring::rand::SecureRandom as _;

use super::entra::{PASSWORD, WINDOWS_DOMAIN, WINDOWS_USERS};
use crate::request::Request;
use crate::salesforce::errors::Reply;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// Unicode, request target, NTLM, always sign, target is a domain, extended security, target info, 128, 56.
const FLAGS: u32 = 0xa289_8205 & !0x0200_0000;
/// Shortest NTLMv2 answer: the proof and the head of the blob. An NTLMv1 answer has 24 bytes.
const MIN_V2: usize = 44;

/// The user of a connection, or what the client has to do next.
pub fn user(request: &Request) -> Result<usize, Box<Reply>> {
    let mut agreed = request
        .connection
        .ntlm
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let header = request.header("authorization");
    let (scheme, message) = header
        .and_then(|text| text.split_once(' '))
        .unwrap_or_default();
    let offered = matches!(scheme, "NTLM" | "Negotiate");
    let message = STANDARD.decode(message.trim()).unwrap_or_default();
    match (agreed.1, kind(&message)) {
        (_, Some(1)) if offered => {
            let mut challenge = [0u8; 8];
            // A source of randomness that fails leaves zeros: still a challenge, only a guessable one.
            let _ = ring::rand::SystemRandom::new().fill(&mut challenge);
            *agreed = (Some(challenge), None);
            let text = STANDARD.encode(challenge_message(challenge));
            Err(Box::new(
                refused().header("WWW-Authenticate", format!("{scheme} {text}")),
            ))
        }
        (_, Some(3)) if offered => {
            let found = agreed.0.take().and_then(|sent| verify(&message, sent));
            agreed.1 = found;
            found.ok_or_else(|| Box::new(offer()))
        }
        (Some(user), _) => Ok(user),
        _ => Err(Box::new(offer())),
    }
}

/// The request only greets: it asks for a challenge, and nothing is done for it.
pub fn greets(request: &Request) -> bool {
    let header = request.header("authorization").unwrap_or_default();
    let message = match header.split_once(' ') {
        Some(("NTLM" | "Negotiate", text)) => STANDARD.decode(text.trim()).unwrap_or_default(),
        _ => return false,
    };
    kind(&message) == Some(1)
}

/// 401 to a connection whose sign-in is forgotten.
pub fn forgotten(request: &Request) -> Reply {
    let mut agreed = request
        .connection
        .ntlm
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *agreed = (None, None);
    offer()
}

fn refused() -> Reply {
    Reply::typed(
        401,
        "text/html",
        "HTTP Error 401 - Unauthorized: Access is denied",
    )
}

/// 401 with the schemes the server takes.
fn offer() -> Reply {
    refused()
        .header("WWW-Authenticate", "Negotiate")
        .header("WWW-Authenticate", "NTLM")
}

fn kind(message: &[u8]) -> Option<u32> {
    message.strip_prefix(SIGNATURE)?;
    number(message, 8)
}

fn number(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The bytes a length and an offset point at.
fn field(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(
        message.get(at..at + 2)?.try_into().ok()?,
    ));
    let start = usize::try_from(number(message, at + 4)?).ok()?;
    message.get(start..start.checked_add(length)?)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The second message: the challenge, and the names of domain and server.
fn challenge_message(challenge: [u8; 8]) -> Vec<u8> {
    const HEAD: u32 = 56;
    let domain = utf16(WINDOWS_DOMAIN);
    let mut info = Vec::new();
    // NetBIOS domain and computer, DNS domain and computer, then the end.
    for (id, text) in [
        (2u16, WINDOWS_DOMAIN),
        (1, "CRM"),
        (4, "contoso.test"),
        (3, "crm.contoso.test"),
    ] {
        let value = utf16(text);
        info.extend(id.to_le_bytes());
        info.extend((value.len() as u16).to_le_bytes());
        info.extend(value);
    }
    info.extend([0; 4]);
    let mut out = SIGNATURE.to_vec();
    out.extend(2u32.to_le_bytes());
    let place = |out: &mut Vec<u8>, length: usize, offset: u32| {
        out.extend((length as u16).to_le_bytes());
        out.extend((length as u16).to_le_bytes());
        out.extend(offset.to_le_bytes());
    };
    place(&mut out, domain.len(), HEAD);
    out.extend(FLAGS.to_le_bytes());
    out.extend(challenge);
    out.extend([0; 8]);
    place(&mut out, info.len(), HEAD + domain.len() as u32);
    // Version 10.0, NTLM revision 15.
    out.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    out.extend(domain);
    out.extend(info);
    out
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else {
        return [0; 16];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The user whose answer to the challenge this is.
fn verify(message: &[u8], challenge: [u8; 8]) -> Option<usize> {
    let answer = field(message, 20)?;
    let domain = field(message, 28)?;
    let name = field(message, 36)?;
    if answer.len() < MIN_V2 {
        return None;
    }
    let text = |bytes: &[u8]| {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).ok()
    };
    let (domain, name) = (text(domain)?, text(name)?);
    let user = WINDOWS_USERS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(&name))?;
    if !domain.eq_ignore_ascii_case(WINDOWS_DOMAIN) {
        return None;
    }
    let secret = Md4::digest(utf16(PASSWORD));
    let identity = utf16(&format!("{}{domain}", name.to_uppercase()));
    let key = hmac_md5(&secret, &[&identity]);
    let (proof, blob) = answer.split_at(16);
    (hmac_md5(&key, &[&challenge, blob]) == proof).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of MS-NLMP, section 4.2.4: user "User", domain "Domain", password "Password".
    #[test]
    fn keys_are_those_of_the_specification() {
        let secret = Md4::digest(utf16("Password"));
        let key = hmac_md5(&secret, &[&utf16("USERDomain")]);
        let expected = [
            0x0c, 0x86, 0x8a, 0x40, 0x3b, 0xfd, 0x7a, 0x93, 0xa3, 0x00, 0x1e, 0xf2, 0x2e, 0xf0,
            0x2e, 0x3f,
        ];
        assert_eq!(key, expected);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert_eq!(kind(b"NTLMSSP\0\x01\0\0\0"), Some(1));
        assert_eq!(kind(b"NTLMSSP"), None);
        for length in 0..80 {
            let mut message = challenge_message([1; 8]);
            message.truncate(length);
            assert_eq!(verify(&message, [1; 8]), None);
        }
    }
}
