//! The two ways to sign in, and signing off (Oracle page 2.1, 2.2).
//!
//! Both end with a cookie, so that a backend holds one of the company's few sessions and no more. A refused sign-in is
//! never tried again by itself: accounts lock.

use crate::call::Call;
use crate::envelope::{Credentials, message};
use crate::{error, fault};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crm_core::{Account, CallStats, Error, ErrorKind, ExposeSecret, Place, Result, SecretString};
use crm_http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use crm_http::{
    Allotment, Fresh, HttpService, Method, Reply, Request, RetryPolicy, Url, send_again,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Where every message goes (Oracle page 1.2).
pub(crate) const PATH: &str = "/Services/Integration";
/// What ends a session.
pub(crate) const LOGOFF: &str = "/Services/Integration?command=logoff";
/// The REST interface, and what ends a session there (Oracle page 2.5).
pub(crate) const REST: &str = "/OnDemand/user/Rest/";
pub(crate) const REST_LOGOFF: &str = "/OnDemand/user/Rest/Connection?action=logoff";
/// What the usage page shows where the option does not say.
const CLIENT_NAME: &str = "crm_fdw";
const COOKIE_NAME: &str = "JSESSIONID=";

/// A session that was granted.
pub(crate) struct SignedIn {
    /// The header that stands for it; without one each message carries the credentials.
    pub cookie: Option<SecretString>,
}

impl SignedIn {
    /// The header of a request, marked so that no log shows it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let cookie = self.cookie.as_ref()?;
        let mut value = HeaderValue::from_str(cookie.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// What a sign-in needs.
pub(crate) struct SignInRequest<'a> {
    pub account: &'a Account,
    pub http: &'a HttpService,
    pub allotment: &'a Allotment,
    pub policy: RetryPolicy,
    pub stats: &'a CallStats,
}

/// How the account signs in: its `auth` value.
///
/// # Errors
/// Options that are missing.
pub(crate) fn auth_of(account: &Account) -> Result<&'static str> {
    account.require("url", Place::Server)?;
    account.require("username", Place::UserMapping)?;
    account.require_secret("password")?;
    Ok(match account.get("auth") {
        Some("ws_security") => "ws_security",
        _ => "session",
    })
}

/// The server's address with `path`.
///
/// # Errors
/// The option is missing or no address.
pub(crate) fn address(account: &Account, path: &str) -> Result<Url> {
    let url = account.require("url", Place::Server)?;
    let bad = |_| Error::new(ErrorKind::OptionValue, "option \"url\" is not an address");
    Url::parse(url).and_then(|url| url.join(path)).map_err(bad)
}

/// The user as the service wants it: `COMPANY/USER`.
pub(crate) fn username(account: &Account) -> Result<String> {
    let name = account.require("username", Place::UserMapping)?;
    Ok(name.replace('\\', "/"))
}

/// Credentials for a message.
///
/// # Errors
/// Options that are missing.
pub(crate) fn with_credentials(account: &Account, input: &str) -> Result<String> {
    let username = username(account)?;
    let credentials = Credentials {
        username: &username,
        password: account.require_secret("password")?,
        client_name: account.get("client_name").unwrap_or(CLIENT_NAME),
    };
    message(Some(&credentials), input)
}

impl SignInRequest<'_> {
    /// Signs in as the account's options say.
    ///
    /// # Errors
    /// [`ErrorKind::LoginRefused`] is final; [`ErrorKind::AllotmentUsedUp`] where all sessions are taken.
    pub(crate) async fn sign_in(&self) -> Result<Fresh<SignedIn>> {
        let token = match auth_of(self.account)? {
            "ws_security" => self.by_message().await?,
            _ => self.by_login().await?,
        };
        Ok(Fresh { token, life: None })
    }

    async fn by_login(&self) -> Result<SignedIn> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let username = username(self.account)?;
        let password = self.account.require_secret("password")?;
        let header = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Error::new(ErrorKind::OptionValue, "the credentials cannot be sent"))
        };
        let mut secret = header(&encoded(password.expose_secret()))?;
        secret.set_sensitive(true);
        let client_name = self.account.get("client_name").unwrap_or(CLIENT_NAME);
        // The header is for people; what it cannot hold is encoded as the others are.
        let client_name =
            HeaderValue::from_str(client_name).or_else(|_| header(&encoded(client_name)))?;
        // The values are case sensitive (Oracle page 1.2).
        let url = address(self.account, &format!("{PATH}?command=login&isEncoded=Y"))?;
        let request = Request::new(Method::GET, url)
            .header(
                HeaderName::from_static("username"),
                header(&encoded(&username))?,
            )
            .header(HeaderName::from_static("password"), secret)
            .header(HeaderName::from_static("x-clientname"), client_name);
        let reply = self.send(&request).await?;
        match cookie_of(&reply) {
            Some(cookie) if reply.status.is_success() => Ok(SignedIn {
                cookie: Some(cookie),
            }),
            _ => Err(refusal(&reply)),
        }
    }

    /// Asks for the time with the credentials, which shows whether they are good at the least cost.
    async fn by_message(&self) -> Result<SignedIn> {
        let call = server_time();
        let body = with_credentials(self.account, &call.input)?;
        let url = address(self.account, PATH)?;
        let reply = self.send(&post(url, &call, body)?).await?;
        let text = std::str::from_utf8(&reply.body).unwrap_or_default();
        match fault::find(text) {
            Some(fault) => Err(refused(&fault)),
            None if reply.status.is_success() && text.contains("GetServerTime_Output") => {
                Ok(SignedIn {
                    cookie: cookie_of(&reply),
                })
            }
            None => Err(refusal(&reply)),
        }
    }

    /// A reply of any kind is an answer to the credentials: only what was turned away at the door is sent again.
    async fn send(&self, request: &Request) -> Result<Reply> {
        let attempt = || async {
            self.allotment.admit(self.stats)?;
            self.http.send(request, None, self.stats).await
        };
        let replied = send_again(self.policy, false, self.stats, attempt).await?;
        Ok(replied.reply)
    }

    /// Signs in to the REST interface, which has sessions of its own (Oracle page 2.5). Only after the credentials have
    /// proved good, since a refusal is not remembered here.
    ///
    /// # Errors
    /// When it gives no session.
    pub(crate) async fn to_rest(&self) -> Result<Fresh<SignedIn>> {
        let username = username(self.account)?;
        let password = self.account.require_secret("password")?;
        let pair = format!("{username}:{}", password.expose_secret());
        let mut basic = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| Error::new(ErrorKind::OptionValue, "the credentials cannot be sent"))?;
        basic.set_sensitive(true);
        let url = address(self.account, &format!("{REST}Connection"))?;
        let reply = self
            .send(&Request::new(Method::GET, url).header(AUTHORIZATION, basic))
            .await?;
        match cookie_of(&reply) {
            Some(cookie) if reply.status.is_success() => Ok(Fresh {
                token: SignedIn {
                    cookie: Some(cookie),
                },
                life: None,
            }),
            _ => {
                Err(error::from_no_message(&reply).in_context("the REST interface gave no session"))
            }
        }
    }

    /// Signs off at `path`. The service frees the session's place when it likes (Oracle page 2.1); whatever it says, it
    /// is over.
    pub(crate) async fn sign_off(&self, signed_in: &SignedIn, path: &str) {
        let (Some(cookie), Ok(url)) = (signed_in.header(), address(self.account, path)) else {
            return;
        };
        let request = Request::new(Method::GET, url).header(COOKIE, cookie);
        drop(self.http.send(&request, None, self.stats).await);
    }
}

/// A request with a SOAP message.
///
/// # Errors
/// When the operation's name cannot stand in a header.
pub(crate) fn post(url: Url, call: &Call, body: String) -> Result<Request> {
    let action = HeaderValue::from_str(&call.action()).map_err(|_| {
        Error::new(
            ErrorKind::ObjectUnknown,
            "the object's name cannot be sent to the CRM",
        )
    })?;
    Ok(Request::new(Method::POST, url)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("text/xml; charset=utf-8"),
        )
        .header(HeaderName::from_static("soapaction"), action)
        .body(body)
        .for_data(call.data))
}

/// The cheapest of all operations: the service's clock (Oracle page 10.3).
pub(crate) fn server_time() -> Call {
    Call::new(
        "urn:crmondemand/ws/time/",
        "GetServerTime",
        "<TimeWS_GetServerTime_Input xmlns=\"urn:crmondemand/ws/time/\"/>".to_owned(),
    )
}

/// The session that a reply sets. Its other attributes are for browsers.
fn cookie_of(reply: &Reply) -> Option<SecretString> {
    let set = reply.headers.get_all(SET_COOKIE).iter();
    set.filter_map(|value| value.to_str().ok())
        .find_map(|value| {
            let pair = value.split(';').next()?.trim();
            let id = pair.strip_prefix(COOKIE_NAME)?;
            let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
            is_plain.then(|| SecretString::from(pair))
        })
}

/// What a fault in answer to credentials means.
fn refused(fault: &fault::Fault) -> Error {
    let told = error::from_fault(fault);
    let kind = match told.kind() {
        // Wrong credentials and an ended session share a code (Oracle page 9.4).
        ErrorKind::ConnectionLost if fault.code() == "SBL-ODU-01006" && !fault.is_timeout() => {
            ErrorKind::LoginRefused
        }
        _ if is_about_sessions(&fault.message()) => return all_taken(&fault.message()),
        ErrorKind::RemoteFault => ErrorKind::LoginRefused,
        kind => kind,
    };
    if kind == told.kind() {
        return told;
    }
    let error = login_refused().with_detail(fault.message());
    if fault.code().is_empty() {
        error
    } else {
        error.with_code(fault.code())
    }
}

/// What a reply without a session means. Status and words of a refusal are not documented (Oracle page 2.1), so that
/// whatever is not plainly the host's own trouble counts as one.
fn refusal(reply: &Reply) -> Error {
    let words = error::readable(&reply.body);
    if is_about_sessions(&words) {
        return all_taken(&words);
    }
    let lower = words.to_ascii_lowercase();
    let is_closed = ["maintenance", "unavailable", "temporarily"]
        .iter()
        .any(|word| lower.contains(word));
    if is_closed || matches!(reply.status.as_u16(), 404 | 429 | 502..=504) {
        let error = error::from_no_message(reply);
        return match reply.status.is_success() {
            true => Error::new(ErrorKind::ConnectionLost, "the CRM is not available now")
                .with_detail(words),
            false => error,
        };
    }
    let status = reply.status.as_u16();
    login_refused()
        .with_detail(match words.is_empty() {
            true => format!("HTTP {status}"),
            false => format!("HTTP {status}: {words}"),
        })
        .with_code(format!("HTTP {status}"))
}

fn login_refused() -> Error {
    Error::new(ErrorKind::LoginRefused, "the CRM refused the credentials").with_hint(
        "Check username (COMPANY/user) and password of the user mapping; it is not tried again until they change.",
    )
}

fn is_about_sessions(words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    lower.contains("session")
        && ["maximum", "concurrent", "limit"]
            .iter()
            .any(|word| lower.contains(word))
}

fn all_taken(words: &str) -> Error {
    Error::new(
        ErrorKind::AllotmentUsedUp,
        "all sessions of the company are taken",
    )
    .with_detail(words)
    .with_hint("End other integrations' sessions, or wait until they time out; a company has 10 unless Oracle raises it.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_http::header::HeaderMap;
    use crm_http::{Bytes, StatusCode};

    fn reply(status: u16, cookies: &[&'static str], body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn the_session_among_other_cookies() {
        for (cookies, expected) in [
            (
                &["JSESSIONID=TEST-1.pod; Path=/; Secure"][..],
                Some("JSESSIONID=TEST-1.pod"),
            ),
            (
                &["BIGip=x; path=/", " JSESSIONID=TEST-2"][..],
                Some("JSESSIONID=TEST-2"),
            ),
            (&["JSESSIONID=; Path=/"][..], None),
            (&["JSESSIONID=a b"][..], None),
            (&["XJSESSIONID=TEST"][..], None),
            (&[][..], None),
        ] {
            let cookie = cookie_of(&reply(200, cookies, ""));
            assert_eq!(
                cookie.as_ref().map(ExposeSecret::expose_secret),
                expected,
                "{cookies:?}"
            );
        }
        let signed_in = SignedIn {
            cookie: cookie_of(&reply(200, &["JSESSIONID=TEST-1"], "")),
        };
        assert!(signed_in.header().unwrap().is_sensitive());
    }

    #[test]
    fn what_a_reply_without_a_session_means() {
        for (status, body, expected) in [
            (
                403,
                "<html><body>Invalid user name or password</body></html>",
                ErrorKind::LoginRefused,
            ),
            (401, "", ErrorKind::LoginRefused),
            (500, "some text", ErrorKind::LoginRefused),
            (200, "<html>Sign in</html>", ErrorKind::LoginRefused),
            (
                200,
                "<html>The service is under maintenance</html>",
                ErrorKind::ConnectionLost,
            ),
            (503, "<html>later</html>", ErrorKind::ConnectionLost),
            (404, "<html>Not Found</html>", ErrorKind::NotSupported),
            (
                403,
                "The maximum number of concurrent sessions was reached",
                ErrorKind::AllotmentUsedUp,
            ),
        ] {
            let error = refusal(&reply(status, &[], body));
            assert_eq!(error.kind(), expected, "{status} {body}: {error:?}");
            assert!(error.detail().is_some(), "{status} {body}");
        }
    }

    #[test]
    fn what_a_fault_in_answer_to_credentials_means() {
        for (code, words, expected) in [
            (
                "SBL-ODU-01006",
                "Invalid user name or password",
                ErrorKind::LoginRefused,
            ),
            (
                "SBL-ODU-01006",
                "RIP_WAIT_ERROR_TIMEOUT",
                ErrorKind::ConnectionLost,
            ),
            (
                "SBL-SBL-70172",
                "The maximum number of concurrent sessions was reached",
                ErrorKind::AllotmentUsedUp,
            ),
            ("SBL-ODU-01011", "not available", ErrorKind::NotPermitted),
            ("SBL-NEW-00001", "never seen", ErrorKind::LoginRefused),
        ] {
            let body = format!(
                "<Envelope><Body><Fault><detail><ErrorCode>{code}</ErrorCode><ErrorMessage>{words}</ErrorMessage></detail></Fault></Body></Envelope>"
            );
            let error = refused(&fault::find(&body).unwrap());
            assert_eq!(error.kind(), expected, "{code} {words}: {error:?}");
        }
    }
}
