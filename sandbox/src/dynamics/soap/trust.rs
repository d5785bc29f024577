//! The sign-in service of WS-Trust 1.3 (`usernamemixed`), and requests signed with what it gives.
//! Section 2.7 of the protocol page. Nobody but the server reads the token, so it is random bytes here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use ring::rand::SecureRandom as _;
use ring::{digest, hmac};
use uuid::Uuid;

use super::c14n::canonical;
use super::envelope::{self, Fault, Opened, SECURITY, UTILITY, Version, invalid_security};
use crate::dynamics::entra::windows_user;
use crate::request::Request;
use crate::salesforce::errors::Reply;
use crate::xml::Node;

const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";
const PASSWORD_TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
const ASSERTION_ID: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID";
/// How far two clocks may be apart, in seconds.
const SKEW: i64 = 300;
/// Life of a token in seconds.
const LIFE: i64 = 28_800;

/// A token that was given out.
struct Token {
    user: usize,
    /// The organisation it is good for.
    organisation: String,
    key: Vec<u8>,
    assertion: String,
    /// Seconds since 1970.
    expires: i64,
}

/// The tokens of the sign-in service, by the text of their cipher value.
#[derive(Default)]
pub struct Trust {
    tokens: Mutex<HashMap<String, Token>>,
}

fn failed() -> Fault {
    Fault::Security {
        subcode: "FailedAuthentication",
        reason: "ID3242: The security token could not be authenticated or authorized.".to_owned(),
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    // A source of randomness that fails leaves zeros: still a key, only a guessable one.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes
}

/// A `wsu:Timestamp` whose time is now, give or take what clocks may differ.
fn is_current(timestamp: &Node) -> bool {
    let moment = |name: &str| {
        let text = timestamp.text_of(name)?;
        Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp())
    };
    let now = Utc::now().timestamp();
    match (moment("Created"), moment("Expires")) {
        (Some(created), Some(expires)) => {
            created <= now + SKEW && expires >= now - SKEW && expires > created
        }
        _ => false,
    }
}

fn security(opened: &Opened) -> Option<&Node> {
    opened
        .header
        .as_ref()?
        .children
        .iter()
        .find(|child| child.namespace == SECURITY && child.name == "Security")
}

impl Trust {
    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every token.
    pub fn expire(&self) {
        self.tokens().clear();
    }

    /// Answers a request for a token. `organisations` are the addresses tokens are given for; the second
    /// value says whether one was.
    pub fn issue(
        &self,
        request: &Request,
        address: &str,
        organisations: &[String],
    ) -> (Reply, bool) {
        let opened = match envelope::open(&request.body, Version::V12) {
            Ok(opened) => opened,
            Err(fault) => return (fault.reply(Version::V12, "", None), false),
        };
        let relates = opened.addressing("MessageID");
        match self.token(&opened, address, organisations) {
            Ok(body) => {
                let action = format!("{TRUST}/RSTRC/IssueFinal");
                (envelope::reply(Version::V12, &action, relates, &body), true)
            }
            Err(fault) => (fault.reply(Version::V12, "", relates), false),
        }
    }

    fn token(
        &self,
        opened: &Opened,
        address: &str,
        organisations: &[String],
    ) -> Result<String, Fault> {
        let bad = |reason: &str| Fault::Security {
            subcode: "InvalidRequest",
            reason: reason.to_owned(),
        };
        let wanted = format!("{TRUST}/RST/Issue");
        if opened.addressing("Action") != Some(&wanted) || opened.addressing("To") != Some(address)
        {
            return Err(bad(
                "The message with that Action and To cannot be processed.",
            ));
        }
        let header = security(opened).ok_or_else(failed)?;
        let current = header.child("Timestamp").is_some_and(is_current);
        if !current {
            return Err(invalid_security());
        }
        let name = header.child("UsernameToken").ok_or_else(failed)?;
        let password = name
            .child("Password")
            .filter(|node| {
                node.attribute("Type")
                    .is_none_or(|kind| kind == PASSWORD_TEXT)
            })
            .ok_or_else(failed)?;
        let user = windows_user(name.text_of("Username").unwrap_or_default(), &password.text)
            .ok_or_else(failed)?;
        let operation = &opened.operation;
        let issue = format!("{TRUST}/Issue");
        if operation.namespace != TRUST
            || operation.name != "RequestSecurityToken"
            || operation.text_of("RequestType") != Some(&issue)
        {
            return Err(bad("The request is no request for a token."));
        }
        let applies = operation
            .child("AppliesTo")
            .and_then(|node| node.child("EndpointReference"))
            .and_then(|node| node.text_of("Address"))
            .unwrap_or_default();
        let organisation = organisations
            .iter()
            .find(|known| applies.trim_end_matches('/').starts_with(known.as_str()))
            .ok_or_else(|| bad("ID3082: The request scope is not valid or is unsupported."))?;
        let key = random(32);
        let cipher = STANDARD.encode(random(240));
        let assertion = format!("_{}", Uuid::new_v4());
        let now = Utc::now();
        let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let body = format!(
            "<trust:RequestSecurityTokenResponseCollection xmlns:trust=\"{TRUST}\"><trust:RequestSecurityTokenResponse><trust:Lifetime><wsu:Created xmlns:wsu=\"{UTILITY}\">{}</wsu:Created><wsu:Expires xmlns:wsu=\"{UTILITY}\">{}</wsu:Expires></trust:Lifetime><wsp:AppliesTo xmlns:wsp=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><wsa:EndpointReference xmlns:wsa=\"http://www.w3.org/2005/08/addressing\"><wsa:Address>{organisation}/</wsa:Address></wsa:EndpointReference></wsp:AppliesTo><trust:RequestedSecurityToken><xenc:EncryptedData Type=\"{ENCRYPTION}Element\" xmlns:xenc=\"{ENCRYPTION}\"><xenc:EncryptionMethod Algorithm=\"{ENCRYPTION}aes256-cbc\"/><KeyInfo xmlns=\"{SIGNATURE}\"><e:EncryptedKey xmlns:e=\"{ENCRYPTION}\"><e:EncryptionMethod Algorithm=\"{ENCRYPTION}rsa-oaep-mgf1p\"><DigestMethod Algorithm=\"{SIGNATURE}sha1\"/></e:EncryptionMethod><KeyInfo><o:SecurityTokenReference xmlns:o=\"{SECURITY}\"><X509Data><X509IssuerSerial><X509IssuerName>CN=Contoso Test CA, O=Contoso</X509IssuerName><X509SerialNumber>1</X509SerialNumber></X509IssuerSerial></X509Data></o:SecurityTokenReference></KeyInfo><e:CipherData><e:CipherValue>{}</e:CipherValue></e:CipherData></e:EncryptedKey></KeyInfo><xenc:CipherData><xenc:CipherValue>{cipher}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></trust:RequestedSecurityToken><trust:RequestedProofToken><trust:BinarySecret>{}</trust:BinarySecret></trust:RequestedProofToken>{}<trust:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</trust:TokenType><trust:RequestType>{TRUST}/Issue</trust:RequestType><trust:KeyType>{TRUST}/SymmetricKey</trust:KeyType></trust:RequestSecurityTokenResponse></trust:RequestSecurityTokenResponseCollection>",
            moment(now),
            moment(now + chrono::Duration::seconds(LIFE)),
            STANDARD.encode(random(128)),
            STANDARD.encode(&key),
            ["RequestedAttachedReference", "RequestedUnattachedReference"]
                .map(|name| format!("<trust:{name}><o:SecurityTokenReference k:TokenType=\"http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1\" xmlns:o=\"{SECURITY}\" xmlns:k=\"http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd\"><o:KeyIdentifier ValueType=\"{ASSERTION_ID}\">{assertion}</o:KeyIdentifier></o:SecurityTokenReference></trust:{name}>"))
                .concat(),
        );
        self.tokens().insert(
            cipher,
            Token {
                user,
                organisation: organisation.clone(),
                key,
                assertion,
                expires: now.timestamp() + LIFE,
            },
        );
        Ok(body)
    }

    /// The user that signed a request to an organisation.
    ///
    /// # Errors
    /// `InvalidSecurity`, whatever is wrong with it.
    pub fn signer(
        &self,
        request: &Request,
        opened: &Opened,
        organisation: &str,
    ) -> Result<usize, Fault> {
        self.verified(request, opened, organisation)
            .ok_or_else(invalid_security)
    }

    fn verified(&self, request: &Request, opened: &Opened, organisation: &str) -> Option<usize> {
        let header = security(opened)?;
        let timestamp = header
            .child("Timestamp")
            .filter(|node| node.namespace == UTILITY && is_current(node))?;
        let cipher = header
            .child("EncryptedData")?
            .child("CipherData")?
            .text_of("CipherValue")?;
        let tokens = self.tokens();
        let token = tokens
            .get(cipher)
            .filter(|token| token.expires > Utc::now().timestamp())
            .filter(|token| token.organisation == organisation)?;
        let signature = header
            .child("Signature")
            .filter(|node| node.namespace == SIGNATURE)?;
        let named = signature
            .child("KeyInfo")?
            .child("SecurityTokenReference")?
            .child("KeyIdentifier")
            .filter(|node| node.attribute("ValueType") == Some(ASSERTION_ID))?;
        let info = signature.child("SignedInfo")?;
        let algorithm =
            |node: &Node, name: &str| Some(node.child(name)?.attribute("Algorithm")?.to_owned());
        let reference = info.child("Reference")?;
        let transform = reference.child("Transforms")?.child("Transform")?;
        let agreed = named.text.trim() == token.assertion
            && algorithm(info, "CanonicalizationMethod")? == EXCLUSIVE
            && algorithm(info, "SignatureMethod")? == format!("{SIGNATURE}hmac-sha1")
            && transform.attribute("Algorithm") == Some(EXCLUSIVE)
            && algorithm(reference, "DigestMethod")? == format!("{SIGNATURE}sha1")
            && reference.attribute("URI")? == format!("#{}", timestamp.attribute("Id")?);
        if !agreed {
            return None;
        }
        let text = std::str::from_utf8(&request.body).ok()?;
        let signed = canonical(text, UTILITY, "Timestamp")?;
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
        if STANDARD.encode(sum.as_ref()) != reference.text_of("DigestValue")? {
            return None;
        }
        let signed = canonical(text, SIGNATURE, "SignedInfo")?;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &token.key);
        let proof = STANDARD.decode(signature.text_of("SignatureValue")?).ok()?;
        hmac::verify(&key, signed.as_bytes(), &proof).ok()?;
        Some(token.user)
    }
}
