//! Tokens of AD FS for the Organization service, by user and password: WS-Trust 1.3 (Dynamics page 2.7).
//!
//! The token is for the service alone: it is encrypted, and goes back as it came. What proves that it is ours is a
//! signature with the key that came beside it, over the time of each request. Both signed parts are written in
//! canonical form, so that nothing has to bring them into it.

use crate::auth;
use crate::error;
use crate::session::DynamicsSession;
use crate::soap::envelope::{ADDRESSING, Message, SOAP_12, is_message, open, optional_text};
use crate::soap::fault::{self, Fault};
use crate::soap::policy::{self, SERVICE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crm_core::{
    CallStats, Error, ErrorKind, ExposeSecret, Place, Result, format_instant_millis, parse_instant,
};
use crm_http::header::{CONTENT_TYPE, HeaderValue};
use crm_http::{Fresh, Method, Request, Url, send_again};
use crm_xml::{Reader, Writer};
use ring::{digest, hmac};
use std::fmt;
use std::time::Duration;

const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const SECURITY_11: &str = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd";
const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const POLICY: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const PLAIN_PASSWORD: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
const SAML_11: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1";
const ASSERTION_ID: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID";

/// Where AD FS takes user names, below its host; clients know it by heart (2.7).
const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";
/// How long a request may be on its way, in microseconds: what the service allows.
const VALIDITY: i64 = 5 * 60 * 1_000_000;
/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(300);

/// Longer vendor texts are cut.
const LONGEST_TEXT: usize = 1_000;

const HINT: &str = "Check username and password in the user mapping; AD FS wants DOMAIN\\user or user@domain. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called.";

/// A token, and what proves that it is ours.
pub(crate) struct SamlToken {
    /// The encrypted token as it came.
    assertion: String,
    key: hmac::Key,
    /// The token's name in signatures.
    reference: String,
}

impl fmt::Debug for SamlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SamlToken")
    }
}

/// Signs in at the token service.
///
/// # Errors
/// [`ErrorKind::OptionMissing`] naming an option, [`ErrorKind::LoginRefused`] with the vendor's words.
pub(crate) async fn sign_in(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<Fresh<SamlToken>> {
    let account = session.account();
    // What is missing is said before anything is sent.
    let username = account.require("username", Place::UserMapping)?;
    let password = account.require_secret("password")?;
    let service = token_service(session, stats).await?;
    let message = request_for_token(&RequestForToken {
        service: &service,
        resource: &format!("{}{SERVICE}", session.root()),
        username,
        password: password.expose_secret(),
        now: session.presumed_now(),
    })
    // Which character it is says something of the password.
    .map_err(|_| {
        Error::new(
            ErrorKind::OptionValue,
            "username or password holds a character that cannot be sent to AD FS",
        )
    })?;
    let request = Request::new(Method::POST, service)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/soap+xml; charset=UTF-8"),
        )
        .body(message);
    // A lost reply may be a counted failure, so this is not repeated.
    let attempt = || session.http().send(&request, None, stats);
    let reply = send_again(session.policy(), false, stats, attempt)
        .await?
        .reply;
    session.listen(&reply);
    if !is_message(&reply.body) {
        if reply.status.is_success() {
            return Err(Error::new(
                ErrorKind::Undecodable,
                "the token service answered with something else than a token",
            )
            .with_hint("Check the server options url and authority."));
        }
        return Err(error::from_reply(&reply));
    }
    let granted = match open(&reply.body)? {
        Message::Fault(mut reader) => Err(refused(&fault::read(&mut reader)?)),
        Message::Answer(mut reader) => granted(&mut reader),
    };
    granted.map_err(|error| error.without(password))
}

/// Where to sign in: the host that the option `authority` names, or the one that the service points to, if it may see
/// the password.
async fn token_service(session: &DynamicsSession, stats: &CallStats) -> Result<Url> {
    let wrong =
        |what: &str| Error::new(ErrorKind::OptionValue, format!("{what} is not an address"));
    if let Some(authority) = session.account().get("authority") {
        let authority = Url::parse(authority).map_err(|_| wrong("option \"authority\""))?;
        return endpoint_at(&authority);
    }
    let policy = policy::ask(session, stats).await?;
    let issuer = policy.issuer.ok_or_else(|| {
        Error::new(
            ErrorKind::OptionMissing,
            "the server does not say where to sign in",
        )
        .with_hint("Name the host of AD FS in the server option authority.")
    })?;
    let issuer = Url::parse(&issuer).map_err(|_| {
        Error::new(
            ErrorKind::Undecodable,
            "the server names a sign-in address that is none",
        )
    })?;
    endpoint_at(&auth::trusted_host(None, &issuer, session.root())?)
}

fn endpoint_at(host: &Url) -> Result<Url> {
    let wrong = || {
        Error::new(
            ErrorKind::OptionValue,
            "the sign-in address is not one of a host with TLS",
        )
    };
    if host.path().ends_with("/usernamemixed") && host.scheme() == "https" {
        return Ok(host.clone());
    }
    // Names of token services are addresses without TLS, at which nothing answers (2.7).
    let port = host
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let name = host.host_str().ok_or_else(wrong)?;
    Url::parse(&format!("https://{name}{port}{ENDPOINT}")).map_err(|_| wrong())
}

struct RequestForToken<'a> {
    service: &'a Url,
    resource: &'a str,
    username: &'a str,
    password: &'a str,
    now: i64,
}

fn request_for_token(asked: &RequestForToken<'_>) -> Result<String> {
    let must = [("s:mustUnderstand", "1")];
    let mut writer = Writer::new();
    writer.open(
        "s:Envelope",
        &[
            ("xmlns:a", ADDRESSING),
            ("xmlns:s", SOAP_12),
            ("xmlns:u", UTILITY),
        ],
    );
    writer.open("s:Header", &[]);
    writer.leaf("a:Action", &must, &format!("{TRUST}/RST/Issue"));
    addressed(&mut writer, asked.service.as_str());
    writer.open("o:Security", &[("xmlns:o", SECURITY), must[0]]);
    writer.raw(&timestamp(asked.now)?);
    writer.open("o:UsernameToken", &[("u:Id", "user")]);
    writer.leaf("o:Username", &[], asked.username);
    writer.leaf("o:Password", &[("Type", PLAIN_PASSWORD)], asked.password);
    writer.close().close().close();
    writer.open("s:Body", &[]);
    writer.open("t:RequestSecurityToken", &[("xmlns:t", TRUST)]);
    writer.open("p:AppliesTo", &[("xmlns:p", POLICY)]);
    writer.open("a:EndpointReference", &[]);
    writer.leaf("a:Address", &[], asked.resource);
    writer.close().close();
    writer.leaf("t:RequestType", &[], &format!("{TRUST}/Issue"));
    writer.finish()
}

/// Writes the headers that say where a message goes and where its answer does.
pub(crate) fn addressed(writer: &mut Writer, to: &str) {
    let name = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    writer.leaf("a:MessageID", &[], &name);
    writer.open("a:ReplyTo", &[]);
    writer.leaf(
        "a:Address",
        &[],
        "http://www.w3.org/2005/08/addressing/anonymous",
    );
    writer.close();
    writer.leaf("a:To", &[("s:mustUnderstand", "1")], to);
}

/// The time of a message, in canonical form.
fn timestamp(now: i64) -> Result<String> {
    let told = |at| {
        format_instant_millis(at).ok_or_else(|| {
            Error::new(
                ErrorKind::RemoteFault,
                "this machine's clock cannot be told to the CRM",
            )
        })
    };
    let mut writer = Writer::new();
    writer.open("u:Timestamp", &[("xmlns:u", UTILITY), ("u:Id", "_0")]);
    writer.leaf("u:Created", &[], &told(now)?);
    writer.leaf("u:Expires", &[], &told(now.saturating_add(VALIDITY))?);
    writer.finish()
}

/// The header that signs a request made at `now`, microseconds since the Unix epoch. It stands in an envelope that
/// declares `s` as SOAP 1.2.
///
/// # Errors
/// When the clock cannot be told.
pub(crate) fn security(token: &SamlToken, now: i64) -> Result<String> {
    let timestamp = timestamp(now)?;
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, timestamp.as_bytes());
    let signed = signed_info(&STANDARD.encode(digest))?;
    let signature = hmac::sign(&token.key, signed.as_bytes());
    let mut writer = Writer::new();
    writer.open(
        "o:Security",
        &[("xmlns:o", SECURITY), ("s:mustUnderstand", "1")],
    );
    writer.raw(&timestamp).raw(&token.assertion);
    writer.open("Signature", &[("xmlns", SIGNATURE)]);
    writer.raw(&signed);
    writer.leaf("SignatureValue", &[], &STANDARD.encode(signature));
    writer.open("KeyInfo", &[]);
    writer.open(
        "o:SecurityTokenReference",
        &[("xmlns:k", SECURITY_11), ("k:TokenType", SAML_11)],
    );
    writer.leaf(
        "o:KeyIdentifier",
        &[("ValueType", ASSERTION_ID)],
        &token.reference,
    );
    writer.finish()
}

/// What is signed: the digest of the time alone (2.7).
fn signed_info(digest: &str) -> Result<String> {
    let hmac_sha1 = format!("{SIGNATURE}hmac-sha1");
    let sha1 = format!("{SIGNATURE}sha1");
    let mut writer = Writer::new();
    writer.open("SignedInfo", &[("xmlns", SIGNATURE)]);
    writer.leaf("CanonicalizationMethod", &[("Algorithm", EXCLUSIVE)], "");
    writer.leaf("SignatureMethod", &[("Algorithm", &hmac_sha1)], "");
    writer.open("Reference", &[("URI", "#_0")]);
    writer.open("Transforms", &[]);
    writer.leaf("Transform", &[("Algorithm", EXCLUSIVE)], "");
    writer.close();
    writer.leaf("DigestMethod", &[("Algorithm", &sha1)], "");
    writer.leaf("DigestValue", &[], digest);
    writer.finish()
}

/// Reads the answer, whose first element has just been opened.
fn granted(reader: &mut Reader<'_>) -> Result<Fresh<SamlToken>> {
    let unusable = || {
        Error::new(
            ErrorKind::Undecodable,
            "the token service's answer holds no token that can be used",
        )
    };
    // A service may answer with a collection of one, or with the one.
    if reader.name() == (TRUST, "RequestSecurityTokenResponseCollection")
        && !reader.child_named(TRUST, "RequestSecurityTokenResponse")?
    {
        return Err(unusable());
    }
    let (mut assertion, mut secret, mut reference) = (None, None, None);
    let (mut from, mut until) = (None, None);
    while reader.child()? {
        match reader.name() {
            (TRUST, "RequestedSecurityToken") => {
                if reader.child()? {
                    assertion = Some(reader.raw()?.into_owned());
                    while reader.child()? {
                        reader.skip()?;
                    }
                }
            }
            (TRUST, "RequestedProofToken") => {
                while reader.child()? {
                    secret = optional_text(reader)?;
                }
            }
            (TRUST, "RequestedAttachedReference") => {
                while reader.child_named(SECURITY, "SecurityTokenReference")? {
                    while reader.child_named(SECURITY, "KeyIdentifier")? {
                        reference = optional_text(reader)?;
                    }
                }
            }
            (TRUST, "Lifetime") => {
                while reader.child()? {
                    let is_start = reader.name() == (UTILITY, "Created");
                    let at = parse_instant(reader.text()?.trim());
                    if is_start { from = at } else { until = at }
                }
            }
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    let secret = secret.and_then(|secret| STANDARD.decode(secret.trim()).ok());
    let secret = secret
        .filter(|secret| !secret.is_empty())
        .ok_or_else(unusable)?;
    let life = from.zip(until).and_then(|(from, until)| {
        let micros = u64::try_from(until.checked_sub(from)?).ok()?;
        let life = Duration::from_micros(micros);
        Some(life - MARGIN.min(life / 2))
    });
    Ok(Fresh {
        token: SamlToken {
            assertion: assertion.ok_or_else(unusable)?,
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret),
            reference: reference.ok_or_else(unusable)?.trim().to_owned(),
        },
        life,
    })
}

/// What a fault of the token service means.
fn refused(fault: &Fault) -> Error {
    let code = fault.text.split_once(':').map_or("", |(code, _)| code);
    let is_code = code.starts_with("ID") && code.len() < 10;
    let code = if is_code { code } else { &*fault.soap_code };
    let error = |kind, message: &str| {
        let told: String = fault.text.chars().take(LONGEST_TEXT).collect();
        let error = Error::new(kind, message).with_detail(told);
        if code.is_empty() {
            error
        } else {
            error.with_code(code)
        }
    };
    match (code, fault.soap_code.as_str()) {
        ("ID3242", _) | (_, "FailedAuthentication") => {
            error(ErrorKind::LoginRefused, "AD FS refused the sign-in").with_hint(HINT)
        }
        ("ID3082" | "ID3037", _) | (_, "InvalidScope") => {
            error(ErrorKind::LoginRefused, "AD FS does not know the organisation")
                .with_hint("Check the server option url: it must be the address under which AD FS trusts the organisation.")
        }
        _ => error(ErrorKind::RemoteFault, "AD FS refused the sign-in"),
    }
}

#[cfg(test)]
mod tests;
