//! Who may come in: OAuth flows, SOAP login, tokens and their end. Section 2 of the protocol page.
//! All credentials here are test values and protect nothing.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use chrono::Utc;
use quick_xml::events::Event;
use ring::rand::SecureRandom as _;
use serde_json::{Value, json};

use super::errors::{ApiError, Reply};
use super::organisation::{ORGANISATION, USERS, organisation_id, user_id};
use crate::request::{Host, Request, pairs};

/// The user tests sign in as.
pub const USERNAME: &str = USERS[0].0;
/// A user whose password has expired.
pub const EXPIRED_USERNAME: &str = USERS[EXPIRED_USER].0;
/// Another user, to tell whose locator is whose.
pub const SECOND_USERNAME: &str = USERS[2].0;
/// TEST value.
pub const PASSWORD: &str = "test-only-Pa55&<word>";
/// TEST value; appended to the password.
pub const SECURITY_TOKEN: &str = "TestOnlyToken24Characters";
/// TEST value: the consumer key.
pub const CLIENT_ID: &str = "3MVG9.test.only.crm.sandbox.consumer.key";
/// TEST value: the consumer secret.
pub const CLIENT_SECRET: &str = "test-only-consumer-secret-0123456789";
/// TEST value.
pub const REFRESH_TOKEN: &str = "5Aep861.test.only.refresh.token";
/// TEST key: its public half verifies JWT assertions.
pub const PRIVATE_KEY: &str = include_str!("../../data/test_key/TEST_ONLY_jwt_private_key.pem");
const PUBLIC_KEY: &[u8] = include_bytes!("../../data/test_key/TEST_ONLY_jwt_public_key.der");

/// Place of the user whose password has expired.
const EXPIRED_USER: usize = 1;
/// Wrong passwords after which a user is locked out.
const MAX_FAILURES: u32 = 5;
/// Newest SOAP version that still has `login()` (section 2.3).
const LAST_SOAP_LOGIN: u32 = 64;
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Longest life of an assertion, and the skew allowed on either side, in seconds (section 2.2).
const JWT_LIFE: i64 = 300;
const JWT_SKEW: i64 = 180;

/// A signed-in user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Place in [`USERS`].
    pub user: usize,
    /// Signed in with an expired password: good for nothing but changing it.
    pub restricted: bool,
}

#[derive(Default)]
struct State {
    tokens: HashMap<String, Session>,
    failures: HashMap<usize, u32>,
    signed_in: u64,
    refused: u64,
}

/// Tokens and failed sign-ins.
pub struct Doorman {
    login_url: String,
    instance_url: String,
    state: Mutex<State>,
}

impl Doorman {
    /// A doorman for the two addresses of this server.
    pub fn new(login_url: &str, instance_url: &str) -> Self {
        Self {
            login_url: login_url.to_owned(),
            instance_url: instance_url.to_owned(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The session a request belongs to.
    ///
    /// # Errors
    /// 401 `INVALID_SESSION_ID`, or `INVALID_AUTH_HEADER` for a header of another form.
    pub fn session(&self, request: &Request) -> Result<Session, ApiError> {
        let header = request
            .header("authorization")
            .ok_or_else(ApiError::session)?;
        let token = header
            .strip_prefix("Bearer ")
            .or_else(|| header.strip_prefix("OAuth "))
            .ok_or_else(|| ApiError::new(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"))?;
        match self.state().tokens.get(token) {
            Some(session) if !session.restricted => Ok(*session),
            _ => Err(ApiError::session()),
        }
    }

    /// Ends the session a request belongs to, or all sessions.
    pub fn expire(&self, request: Option<&Request>) {
        let mut state = self.state();
        match request.and_then(|r| r.header("authorization")) {
            Some(header) if request.is_some() => {
                let token = header.rsplit(' ').next().unwrap_or_default();
                state.tokens.remove(token);
            }
            _ if request.is_none() => state.tokens.clear(),
            _ => {}
        }
    }

    /// Forgets failed sign-ins and the counters, keeps tokens.
    pub fn reset(&self) {
        let mut state = self.state();
        state.failures.clear();
        state.signed_in = 0;
        state.refused = 0;
    }

    /// Sign-ins that worked and that did not, and the failures of each user.
    pub fn report(&self) -> Value {
        let state = self.state();
        let users: Vec<Value> = USERS
            .iter()
            .enumerate()
            .map(|(place, (username, _, _))| {
                let failures = state.failures.get(&place).copied().unwrap_or(0);
                json!({
                    "username": username, "failed_logins": failures,
                    "locked": failures >= MAX_FAILURES,
                })
            })
            .collect();
        json!({"succeeded": state.signed_in, "refused": state.refused, "users": users})
    }

    fn issue(&self, user: usize, restricted: bool) -> String {
        let mut bytes = [0u8; 60];
        // A source of randomness that fails leaves zeros: still a token, only a guessable one.
        let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
        let token = format!(
            "{}!AR8{}",
            &organisation_id()[..15],
            URL_SAFE_NO_PAD.encode(bytes).replace('-', ".")
        );
        let mut state = self.state();
        state.signed_in += 1;
        state
            .tokens
            .insert(token.clone(), Session { user, restricted });
        token
    }

    /// Checks a name and a password with the security token behind it, and counts a failure.
    fn check_password(&self, username: &str, password: &str) -> Option<usize> {
        let user = USERS
            .iter()
            .position(|(name, _, _)| name.eq_ignore_ascii_case(username));
        let mut state = self.state();
        let locked =
            user.is_some_and(|u| state.failures.get(&u).is_some_and(|n| *n >= MAX_FAILURES));
        let right = password == format!("{PASSWORD}{SECURITY_TOKEN}");
        match user {
            Some(user) if right && !locked => {
                state.failures.remove(&user);
                Some(user)
            }
            Some(user) => {
                *state.failures.entry(user).or_default() += 1;
                state.refused += 1;
                None
            }
            None => {
                state.refused += 1;
                None
            }
        }
    }

    /// `POST /services/oauth2/token`.
    pub fn token(&self, request: &Request) -> Reply {
        match self.grant(request) {
            Ok(user) => {
                let token = self.issue(user, false);
                let issued_at = Utc::now().timestamp_millis().to_string();
                Reply::ok(&json!({
                    "access_token": token,
                    "instance_url": self.instance_url,
                    "id": self.identity_url(user),
                    "token_type": "Bearer",
                    "issued_at": issued_at,
                    "signature": STANDARD.encode(format!("signature of {issued_at}")),
                }))
                .header("Cache-Control", "no-cache, no-store")
            }
            Err((status, error, description)) => Reply::json(
                status,
                json!({"error": error, "error_description": description}).to_string(),
            ),
        }
    }

    fn grant(&self, request: &Request) -> Result<usize, (u16, &'static str, &'static str)> {
        let form_type = request
            .header("content-type")
            .is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        let text = std::str::from_utf8(&request.body).unwrap_or_default();
        if request.method != "POST" || !request.query.is_empty() || !form_type {
            return Err((400, "invalid_request", "parameters belong in a form body"));
        }
        let form: HashMap<String, String> = pairs(text).into_iter().collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let refuse = |error, description| {
            self.state().refused += 1;
            Err((400, error, description))
        };
        let grant = field("grant_type");
        if grant == JWT_GRANT {
            return self
                .assertion(field("assertion"))
                .or_else(|description| refuse("invalid_grant", description));
        }
        if !matches!(grant, "password" | "client_credentials" | "refresh_token") {
            return refuse("unsupported_grant_type", "grant type not supported");
        }
        let (id, secret) = basic(request).unwrap_or_else(|| {
            (
                field("client_id").to_owned(),
                field("client_secret").to_owned(),
            )
        });
        if id != CLIENT_ID {
            return refuse("invalid_client_id", "client identifier invalid");
        }
        if secret != CLIENT_SECRET {
            self.state().refused += 1;
            return Err((401, "invalid_client", "invalid client credentials"));
        }
        match grant {
            "client_credentials" if request.host == Host::Login => {
                refuse("invalid_grant", "request not supported on this domain")
            }
            "client_credentials" => Ok(0),
            "refresh_token" if field("refresh_token") == REFRESH_TOKEN => Ok(0),
            "refresh_token" => refuse("invalid_grant", "expired access/refresh token"),
            _ => match self.check_password(field("username"), field("password")) {
                Some(EXPIRED_USER) => refuse("invalid_grant", "expired password"),
                Some(user) => Ok(user),
                None => Err((400, "invalid_grant", "authentication failure")),
            },
        }
    }

    /// Verifies a JWT: RS256 under the test key, and the claims of section 2.2.
    fn assertion(&self, assertion: &str) -> Result<usize, &'static str> {
        const INVALID: &str = "invalid assertion";
        let (signed, signature) = assertion.rsplit_once('.').ok_or(INVALID)?;
        let (header, claims) = signed.split_once('.').ok_or(INVALID)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('='));
        let json = |part: &str| -> Result<Value, &'static str> {
            serde_json::from_slice(&decode(part).map_err(|_| INVALID)?).map_err(|_| INVALID)
        };
        let signature = decode(signature).map_err(|_| INVALID)?;
        if json(header)?["alg"] != "RS256" {
            return Err(INVALID);
        }
        ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            PUBLIC_KEY,
        )
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| INVALID)?;
        let claims = json(claims)?;
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let audiences = [
            self.login_url.as_str(),
            self.instance_url.as_str(),
            "https://login.salesforce.com",
            "https://test.salesforce.com",
        ];
        if text("iss") != CLIENT_ID || !audiences.contains(&text("aud").trim_end_matches('/')) {
            return Err(INVALID);
        }
        let now = Utc::now().timestamp();
        // simple-salesforce sends the seconds as a string.
        let expires = claims["exp"]
            .as_i64()
            .or_else(|| text("exp").parse().ok())
            .ok_or(INVALID)?;
        if expires < now - JWT_SKEW || expires > now + JWT_LIFE + JWT_SKEW {
            return Err(INVALID);
        }
        USERS
            .iter()
            .position(|(name, _, _)| *name == text("sub"))
            .ok_or("user hasn't approved this consumer")
    }

    fn identity_url(&self, user: usize) -> String {
        format!(
            "{}/id/{}/{}",
            self.login_url,
            organisation_id(),
            user_id(user)
        )
    }

    /// `GET /services/oauth2/userinfo` and `GET /id/{org}/{user}`.
    pub fn identity(&self, request: &Request) -> Reply {
        let refused = |status, text: &'static str| Reply::typed(status, "text/html", text);
        let Ok(session) = self.session(request) else {
            return refused(403, "Bad_OAuth_Token");
        };
        let (username, first, last) = USERS[session.user];
        let (organisation, user) = (organisation_id(), user_id(session.user));
        if let Some(rest) = request.path.strip_prefix("/id/") {
            let mut parts = rest.split('/');
            let same =
                |part: Option<&str>, id: &str| part.and_then(|p| p.get(..15)) == id.get(..15);
            if !same(parts.next(), &organisation) {
                return refused(403, "Bad_Id");
            }
            if !same(parts.next(), &user) {
                return refused(404, "Bad_Id");
            }
        }
        Reply::ok(&json!({
            "id": self.identity_url(session.user), "sub": self.identity_url(session.user),
            "asserted_user": true, "user_id": user, "organization_id": organisation,
            "organization_name": ORGANISATION, "username": username,
            "preferred_username": username, "nick_name": format!("{first}.{last}"),
            "nickname": format!("{first}.{last}"), "name": format!("{first} {last}"),
            "display_name": format!("{first} {last}"), "email": username, "email_verified": true,
            "first_name": first, "last_name": last, "given_name": first, "family_name": last,
            "timezone": "GMT", "zoneinfo": "GMT", "active": true, "user_type": "STANDARD",
            "language": "en_US", "locale": "en_US", "utcOffset": 0,
            "urls": {
                "rest": format!("{}/services/data/v{{version}}/", self.instance_url),
                "sobjects": format!("{}/services/data/v{{version}}/sobjects/", self.instance_url),
                "query": format!("{}/services/data/v{{version}}/query/", self.instance_url),
            },
        }))
    }

    /// `POST /services/Soap/{u|c}/{version}`: login only.
    pub fn soap(&self, request: &Request, version: &str) -> Reply {
        let number = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if !number.is_some_and(|n| (31..=LAST_SOAP_LOGIN).contains(&n)) {
            return fault(
                "UNSUPPORTED_API_VERSION",
                "login() is not supported in this API version",
            );
        }
        let Some((username, password)) = login_call(&request.body) else {
            return fault("INVALID_OPERATION", "only login is understood here");
        };
        let Some(user) = self.check_password(&username, &password) else {
            return fault(
                "INVALID_LOGIN",
                "Invalid username, password, security token; or user locked out.",
            );
        };
        let expired = user == EXPIRED_USER;
        let session = self.issue(user, expired);
        let organisation = organisation_id();
        let (name, first, last) = USERS[user];
        let server = format!(
            "{}/services/Soap/u/{version}/{}",
            self.instance_url,
            &organisation[..15]
        );
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns=\"urn:partner.soap.sforce.com\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
             <loginResponse><result>\
             <metadataServerUrl>{}</metadataServerUrl>\
             <passwordExpired>{expired}</passwordExpired><sandbox>false</sandbox>\
             <serverUrl>{server}</serverUrl><sessionId>{session}</sessionId>\
             <userId>{}</userId><userInfo>\
             <currencySymbol>$</currencySymbol>\
             <organizationId>{organisation}</organizationId>\
             <organizationMultiCurrency>false</organizationMultiCurrency>\
             <organizationName>{ORGANISATION}</organizationName>\
             <orgDefaultCurrencyIsoCode>USD</orgDefaultCurrencyIsoCode>\
             <sessionSecondsValid>7200</sessionSecondsValid>\
             <userFullName>{first} {last}</userFullName><userId>{}</userId>\
             <userLanguage>en_US</userLanguage><userLocale>en_US</userLocale>\
             <userName>{name}</userName><userTimeZone>GMT</userTimeZone>\
             </userInfo></result></loginResponse></soapenv:Body></soapenv:Envelope>",
            server.replace("/u/", "/m/"),
            user_id(user),
            user_id(user),
        );
        Reply::typed(200, "text/xml;charset=UTF-8", body)
    }
}

fn fault(code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring>\
         <detail><sf:LoginFault xsi:type=\"sf:LoginFault\">\
         <sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail>\
         </soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    );
    Reply::typed(500, "text/xml;charset=UTF-8", body)
}

/// Client id and secret from an `Authorization: Basic` header.
fn basic(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let bytes = STANDARD
        .decode(encoded)
        .or_else(|_| URL_SAFE.decode(encoded))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// User name and password of a SOAP login body, whatever its prefixes.
fn login_call(body: &[u8]) -> Option<(String, String)> {
    let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut in_login = false;
    let mut element = String::new();
    let mut values: HashMap<String, String> = HashMap::new();
    loop {
        let piece = match reader.read_event().ok()? {
            Event::Start(start) => {
                element = start.local_name().as_ref().to_owned();
                in_login |= element == "login";
                String::new()
            }
            Event::End(_) => {
                element.clear();
                continue;
            }
            Event::Text(text) => text.to_string(),
            Event::CData(text) => text.to_string(),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok()? {
                Some(c) => c.to_string(),
                None => quick_xml::escape::resolve_xml_entity(&name)?.to_owned(),
            },
            Event::Eof => break,
            _ => continue,
        };
        if in_login && matches!(element.as_str(), "username" | "password") {
            values.entry(element.clone()).or_default().push_str(&piece);
        }
    }
    Some((values.remove("username")?, values.remove("password")?))
}
