//! The ways to sign in (Salesforce page, section 2). A refused sign-in is never tried again: accounts lock.

use crate::error::{self, Fault};
use crate::jwt::SigningKey;
use crate::options::OPTIONS;
use crate::soap_login::{self, Answer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crm_core::json;
use crm_core::{Account, CallStats, Error, ErrorKind, ExposeSecret, Place, Result, SecretString};
use crm_http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use crm_http::{Bearer, Fresh, HttpService, Method, Reply, Request, RetryPolicy, Url, send_again};
use serde::Deserialize;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A key in PEM has a few thousand bytes.
const LARGEST_KEY_FILE: u64 = 64 * 1024;

/// An account signed in.
#[derive(Debug)]
pub(crate) struct SignIn {
    /// The token and the host it belongs to.
    pub bearer: Bearer,
    /// The `auth` value of the way taken.
    pub auth: &'static str,
    /// Organisation, as an identifier.
    pub organization_id: String,
    /// User name and organisation name, where the sign-in tells.
    pub told: Option<(String, String)>,
}

/// What a sign-in needs.
pub(crate) struct SignInRequest<'a> {
    pub account: &'a Account,
    pub http: &'a HttpService,
    pub policy: RetryPolicy,
    pub stats: &'a CallStats,
    /// The refresh token in force where the organisation changes it with each use; the mapping's is dead then.
    pub rotated: &'a Mutex<Option<SecretString>>,
}

/// The way that the options ask for (A-3).
pub(crate) fn auth_of(account: &Account) -> Result<&'static str> {
    if let Some(named) = account.get("auth") {
        let known = crate::options::AUTH_FORMS
            .iter()
            .find(|form| **form == named);
        return known.copied().ok_or_else(|| {
            Error::new(
                ErrorKind::OptionValue,
                format!("no way to sign in is named \"{named}\""),
            )
        });
    }
    Ok(
        if account.has("private_key") || account.has("private_key_file") {
            "jwt"
        } else if account.has("refresh_token") {
            "refresh_token"
        } else if account.has("client_id")
            && account.has("client_secret")
            && !account.has("username")
        {
            "client_credentials"
        } else if account.has("client_id") {
            "password"
        } else {
            "soap"
        },
    )
}

impl SignInRequest<'_> {
    /// Signs in.
    ///
    /// # Errors
    /// [`ErrorKind::OptionMissing`] naming an option, [`ErrorKind::LoginRefused`] with the vendor's words.
    pub(crate) async fn sign_in(&self) -> Result<Fresh<SignIn>> {
        let secrets = OPTIONS.iter().filter(|option| option.secret);
        let secrets = secrets.filter_map(|option| self.account.secret(option.name));
        self.ask()
            .await
            .map_err(|error| secrets.fold(error, Error::without))
    }

    async fn ask(&self) -> Result<Fresh<SignIn>> {
        let auth = auth_of(self.account)?;
        let account = self.account;
        if auth == "soap" {
            return self.soap().await;
        }
        let mut form: Vec<(&str, SecretString)> = Vec::new();
        let mut basic = None;
        match auth {
            "password" => {
                form.push(("grant_type", "password".into()));
                form.push(("client_id", self.plain("client_id")?));
                if let Some(secret) = account.secret("client_secret") {
                    form.push(("client_secret", secret.clone()));
                }
                form.push(("username", self.plain("username")?));
                form.push(("password", self.password_and_token()?));
            }
            "client_credentials" => {
                form.push(("grant_type", "client_credentials".into()));
                basic = Some((
                    self.plain("client_id")?,
                    account.require_secret("client_secret")?,
                ));
            }
            "jwt" => {
                let issuer = account.require("client_id", Place::UserMapping)?;
                let subject = account.require("username", Place::UserMapping)?;
                let audience = account
                    .get("login_audience")
                    .map_or_else(|| self.login_url(), Ok)?;
                let audience = audience.trim_end_matches('/');
                let key = self.signing_key()?;
                let assertion = key.assertion(issuer, subject, audience, SystemTime::now())?;
                form.push((
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer".into(),
                ));
                form.push(("assertion", assertion));
            }
            _ => {
                form.push(("grant_type", "refresh_token".into()));
                form.push(("client_id", self.plain("client_id")?));
                if let Some(secret) = account.secret("client_secret") {
                    form.push(("client_secret", secret.clone()));
                }
                form.push(("refresh_token", self.refresh_token()?));
            }
        }
        let mut request = Request::new(Method::POST, self.url("/services/oauth2/token")?)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(encoded(&form));
        if let Some((id, secret)) = basic {
            request = request.header(AUTHORIZATION, basic_header(&id, secret)?);
        }
        let reply = self.send(request).await?;
        if !reply.status.is_success() {
            return Err(refused(&reply, auth));
        }
        let (fresh, rotated) = granted(&reply, auth)?;
        if rotated.is_some() {
            *self.rotated.lock().unwrap_or_else(PoisonError::into_inner) = rotated;
        }
        Ok(fresh)
    }

    fn refresh_token(&self) -> Result<SecretString> {
        let rotated = self.rotated.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rotated {
            Some(token) => Ok(token.clone()),
            None => self.account.require_secret("refresh_token").cloned(),
        }
    }

    async fn soap(&self) -> Result<Fresh<SignIn>> {
        let username = self.account.require("username", Place::UserMapping)?;
        let password = self.password_and_token()?;
        let body = soap_login::envelope(username, password.expose_secret());
        let request = Request::new(Method::POST, self.url(soap_login::PATH)?)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("text/xml; charset=UTF-8"),
            )
            .header(
                HeaderName::from_static("soapaction"),
                HeaderValue::from_static("\"\""),
            )
            .body(body);
        let reply = self.send(request).await?;
        let text = std::str::from_utf8(&reply.body).unwrap_or_default();
        match soap_login::parse(text) {
            Ok(Answer::Granted(granted)) if granted.password_expired => Err(login_refused(
                "soap",
                &Fault {
                    code: "INVALID_OPERATION_WITH_EXPIRED_PASSWORD".into(),
                    text: "the password has expired".into(),
                },
            )),
            Ok(Answer::Granted(granted)) => {
                let instance = soap_login::instance_of(&granted.server_url)?;
                Ok(Fresh {
                    token: SignIn {
                        bearer: Bearer::new(granted.session_id.into(), &instance)?,
                        auth: "soap",
                        organization_id: granted.user_info.organization_id,
                        told: Some((
                            granted.user_info.user_name,
                            granted.user_info.organization_name,
                        )),
                    },
                    life: None,
                })
            }
            Ok(Answer::Refused { code, text }) => Err(login_refused("soap", &Fault { code, text })),
            Err(_) if !reply.status.is_success() => Err(error::from_reply(&reply)),
            Err(error) => Err(error),
        }
    }

    /// Safe to repeat only where nothing arrived or the server said "later": a lost reply may be a counted failure.
    async fn send(&self, request: Request) -> Result<Reply> {
        let attempt = || self.http.send(&request, None, self.stats);
        let replied = send_again(self.policy, false, self.stats, attempt).await?;
        Ok(replied.reply)
    }

    fn login_url(&self) -> Result<&str> {
        self.account.require("url", Place::Server)
    }

    fn url(&self, path: &str) -> Result<Url> {
        let base = self.login_url()?;
        Url::parse(base)
            .and_then(|base| base.join(path))
            .map_err(|_| Error::new(ErrorKind::OptionValue, "option \"url\" is not an address"))
    }

    fn plain(&self, name: &str) -> Result<SecretString> {
        let value = self.account.require(name, Place::UserMapping)?;
        Ok(value.to_owned().into())
    }

    /// The security token is appended to the password (2.2); it may be left out where the address is trusted.
    fn password_and_token(&self) -> Result<SecretString> {
        let password = self.account.require_secret("password")?.expose_secret();
        let token = self.account.secret("security_token");
        let token = token.map_or("", |token| token.expose_secret());
        Ok(format!("{password}{token}").into())
    }

    fn signing_key(&self) -> Result<SigningKey> {
        if let Some(path) = self.account.get("private_key_file") {
            if self.account.has("private_key") {
                return Err(Error::new(
                    ErrorKind::OptionValue,
                    "options \"private_key\" and \"private_key_file\" exclude each other",
                ));
            }
            let pem = read_key_file(path).map_err(|error| {
                Error::new(
                    ErrorKind::OptionValue,
                    format!("could not read private key file \"{path}\""),
                )
                .with_detail(error.to_string())
            })?;
            return SigningKey::from_pem(&pem, "private_key_file");
        }
        SigningKey::from_pem(self.account.require_secret("private_key")?, "private_key")
    }
}

/// Reads no more than a key can be, whatever the path leads to.
fn read_key_file(path: &str) -> std::io::Result<SecretString> {
    let mut pem = String::new();
    std::fs::File::open(path)?
        .take(LARGEST_KEY_FILE)
        .read_to_string(&mut pem)?;
    Ok(pem.into())
}

fn encoded(form: &[(&str, SecretString)]) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        body.append_pair(name, value.expose_secret());
    }
    body.finish()
}

fn basic_header(id: &SecretString, secret: &SecretString) -> Result<HeaderValue> {
    let pair = format!("{}:{}", id.expose_secret(), secret.expose_secret());
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).map_err(|_| {
            Error::new(
                ErrorKind::OptionValue,
                "option \"client_secret\" cannot be sent",
            )
        })?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    instance_url: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// The sign-in, and the refresh token that replaces the one used, if one does.
fn granted(reply: &Reply, auth: &'static str) -> Result<(Fresh<SignIn>, Option<SecretString>)> {
    if json::is_markup(&reply.body) {
        return Err(json::not_json("a token"));
    }
    let token: TokenReply = serde_json::from_slice(&reply.body)
        .map_err(|_| Error::new(ErrorKind::Undecodable, "the sign-in's reply cannot be read"))?;
    // The identity address ends in organisation and user (2.1).
    let organization_id = token.id.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let life = token.expires_in.as_ref().and_then(usable_life);
    let fresh = Fresh {
        token: SignIn {
            bearer: Bearer::new(token.access_token.into(), &token.instance_url)?,
            auth,
            organization_id,
            told: None,
        },
        life,
    };
    Ok((fresh, token.refresh_token.map(Into::into)))
}

/// The announced life less a margin for the way. The vendor's numbers come as numbers and as text.
fn usable_life(expires_in: &serde_json::Value) -> Option<Duration> {
    let seconds = match expires_in {
        serde_json::Value::String(text) => text.parse().ok()?,
        value => value.as_u64()?,
    };
    Duration::from_secs(seconds).checked_sub(Duration::from_secs(30))
}

fn refused(reply: &Reply, auth: &str) -> Error {
    let fault = error::faults(&reply.body).into_iter().next();
    match (reply.status.as_u16(), fault) {
        (400..=403, Some(fault)) => login_refused(auth, &fault),
        _ => error::from_reply(reply),
    }
}

/// The vendor's refusal, and what to do about those that are known (2.1 to 2.3).
fn login_refused(auth: &str, fault: &Fault) -> Error {
    let hint = match fault.code.as_str() {
        "rate_limit_exceeded" | "SERVER_UNAVAILABLE" => {
            return Error::new(
                ErrorKind::ConnectionLost,
                "the CRM refuses sign-ins for the moment",
            )
            .with_code(&fault.code)
            .with_detail(told(fault));
        }
        "invalid_client_id" | "invalid_client" => {
            "Check client_id and client_secret of the connected app."
        }
        "unsupported_grant_type" => {
            "The organisation or the connected app does not allow this way to sign in; choose another with the server option auth."
        }
        "invalid_grant" if auth == "client_credentials" => {
            "Client credentials work only at the organisation's own address: set the server option url to https://….my.salesforce.com, and give the app a run-as user."
        }
        "invalid_grant" if auth == "jwt" => {
            "The app must be approved for the user beforehand, and the audience must be the sign-in host."
        }
        "invalid_grant" if auth == "refresh_token" => {
            "The refresh token has ended or was revoked: get a new one and ALTER the user mapping."
        }
        "invalid_grant" | "INVALID_LOGIN" | "LOGIN_MUST_USE_SECURITY_TOKEN" => {
            "Check username, password and security_token in the user mapping. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called."
        }
        "PASSWORD_LOCKOUT" => {
            "The user is locked after too many sign-ins; an administrator can unlock it."
        }
        "INVALID_OPERATION_WITH_EXPIRED_PASSWORD" => {
            "Set a new password in the CRM and ALTER the user mapping."
        }
        "UNSUPPORTED_API_VERSION" => {
            "The SOAP sign-in has been retired: use a connected app and another value of the server option auth."
        }
        _ => "",
    };
    let error = Error::new(ErrorKind::LoginRefused, "the CRM refused the sign-in")
        .with_code(&fault.code)
        .with_detail(told(fault));
    if hint.is_empty() {
        error
    } else {
        error.with_hint(hint)
    }
}

fn told(fault: &Fault) -> String {
    if fault.text.is_empty() {
        fault.code.clone()
    } else {
        format!("{}: {}", fault.code, fault.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_http::StatusCode;
    use crm_http::header::HeaderMap;

    fn reply(status: u16, body: &'static str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().into(),
        }
    }

    fn account(options: &[&str]) -> Account {
        let mut account = Account::new("sf");
        for name in options {
            let option = OPTIONS.iter().find(|option| option.name == *name);
            account.set(option.unwrap(), "TEST".into());
        }
        account
    }

    #[test]
    fn the_flow_follows_from_the_options() {
        for (options, expected) in [
            (
                &["username", "password", "client_id", "client_secret"][..],
                "password",
            ),
            (&["username", "password", "security_token"], "soap"),
            (&["client_id", "client_secret"], "client_credentials"),
            (&["username", "client_id", "private_key"], "jwt"),
            (&["username", "client_id", "private_key_file"], "jwt"),
            (
                &["client_id", "client_secret", "refresh_token"],
                "refresh_token",
            ),
        ] {
            assert_eq!(auth_of(&account(options)).unwrap(), expected, "{options:?}");
        }
    }

    #[test]
    fn recorded_tokens_are_read() {
        let first = reply(
            200,
            include_str!("../tests/fixtures/auth_success_response.json"),
        );
        let (fresh, rotated) = granted(&first, "password").unwrap();
        assert_eq!(fresh.token.bearer.host(), "na1.salesforce.com");
        assert_eq!(fresh.token.organization_id, "00Dx0000000BV7z");
        assert!(fresh.life.is_none() && rotated.is_none());
        let next = reply(
            200,
            include_str!("../tests/fixtures/refresh_success_response.json"),
        );
        assert!(granted(&next, "refresh_token").is_ok());
    }

    #[test]
    fn tokens_that_cannot_be_used_are_refused_without_being_shown() {
        for body in [
            "",
            "<html>TEST</html>",
            r#"{"access_token":"TEST"}"#,
            r#"{"access_token":"TEST","instance_url":"http://na1.salesforce.com"}"#,
            r#"{"access_token":["TEST"],"instance_url":"https://na1.salesforce.com"}"#,
        ] {
            let error = granted(&reply(200, body), "password").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Undecodable, "{body}");
            assert!(!format!("{error:?}").contains("TEST"), "{error:?}");
        }
    }

    #[test]
    fn refusals_and_what_only_looks_like_one() {
        let recorded = include_str!("../tests/fixtures/auth_error_response.json");
        for (status, body, kind, hint) in [
            (400, recorded, ErrorKind::LoginRefused, "security_token"),
            (
                401,
                r#"{"error":"invalid_client"}"#,
                ErrorKind::LoginRefused,
                "client_secret",
            ),
            (
                400,
                r#"{"error":"rate_limit_exceeded"}"#,
                ErrorKind::ConnectionLost,
                "",
            ),
            (404, "<html>", ErrorKind::RemoteFault, "url"),
            (502, "<html>", ErrorKind::ConnectionLost, ""),
            (
                500,
                r#"{"error":"unknown_error"}"#,
                ErrorKind::RemoteFault,
                "",
            ),
        ] {
            let error = refused(&reply(status, body), "password");
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        }
    }

    #[test]
    fn lives_end_a_little_early() {
        for (expires_in, expected) in [
            (serde_json::json!(7200), Some(7170)),
            (serde_json::json!("7200"), Some(7170)),
            (serde_json::json!(10), None),
            (serde_json::json!("soon"), None),
            (serde_json::json!(null), None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(usable_life(&expires_in), expected, "{expires_in}");
        }
    }
}
