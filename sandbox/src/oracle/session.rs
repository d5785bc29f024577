//! Sessions: `?command=login` and `logoff`, cookies, their number, age and rate (sections 2.1 to 2.4).
//! What the page leaves open (a refused login's form, idle time) is a choice, named in README.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom as _;
use serde_json::{Value, json};

use super::envelope::Fault;
use super::settings::Settings;
use super::ws_security::Sender;
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// The user tests sign in as.
pub const USERNAME: &str = "TESTCO/ada.admin";
/// Another user with the same password.
pub const SECOND_USERNAME: &str = "TESTCO/bj\u{f6}rn.buyer";
/// TEST value; it needs its encoding.
pub const PASSWORD: &str = "test-only-Pa55&<w\u{f6}rd>%";

/// A user who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Place in the table of users.
    pub number: usize,
    /// Differs for each session; stateless requests share none.
    pub order: u64,
}

#[derive(Debug, Clone)]
struct Session {
    user: usize,
    number: u64,
    since: i64,
    used: i64,
    /// Milliseconds of the last request, for the rate.
    last_ms: i64,
    zone: Option<String>,
    /// The minute the REST requests of `rest` fell into.
    minute: i64,
    rest: u32,
}

#[derive(Default)]
struct Book {
    sessions: HashMap<String, Session>,
    /// Server affinity cookies handed to stateless requests.
    affinity: HashMap<String, usize>,
    issued: u64,
    succeeded: u64,
    refused: u64,
    operations: u64,
}

/// Who is signed in.
#[derive(Default)]
pub struct Sessions {
    book: Mutex<Book>,
}

impl Sessions {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers `?command=login`: 200 with a cookie, or 403 with a line of text.
    pub fn login(&self, request: &Request, settings: &Settings, now: i64) -> Reply {
        let encoded = request.parameter("isEncoded") == Some("Y");
        let header = |name: &str| {
            let raw = request.headers.get(name)?.as_bytes();
            match encoded {
                true => percent_decoded(raw),
                false => String::from_utf8(raw.to_vec()).ok(),
            }
        };
        let credentials = header("username").zip(header("password"));
        let pair = credentials
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.as_str()));
        self.open_for(pair, settings, now)
    }

    /// Opens a session for credentials: 200 with a cookie, or 403 with a line of text.
    pub fn open_for(
        &self,
        credentials: Option<(&str, &str)>,
        settings: &Settings,
        now: i64,
    ) -> Reply {
        let mut book = self.book();
        let Some(user) = credentials.and_then(|(user, password)| check(user, password)) else {
            book.refused += 1;
            return refusal("Invalid user name or password");
        };
        match open(&mut book, user, settings, now) {
            Some(id) => Reply::typed(200, "text/html; charset=UTF-8", "").header(
                "Set-Cookie",
                format!("JSESSIONID={id}; Path=/; Secure; HttpOnly"),
            ),
            None => refusal("The maximum number of concurrent sessions was reached"),
        }
    }

    /// Answers `?command=logoff`: 200, known or not.
    pub fn logoff(&self, request: &Request) -> Reply {
        if let Some(id) = cookie(request) {
            self.book().sessions.remove(&id);
        }
        Reply::typed(200, "text/html; charset=UTF-8", "")
    }

    /// Who sends a SOAP request, and the cookie its answer sets. `operations` is what it costs.
    ///
    /// # Errors
    /// Shape B for credentials, sessions and limits.
    pub fn admit(
        &self,
        request: &Request,
        sender: &Sender,
        settings: &Settings,
        now_ms: i64,
        operations: u64,
    ) -> Result<(User, Option<String>), Fault> {
        let now = now_ms / 1_000;
        let mut book = self.book();
        let (user, set) = admitted(&mut book, request, sender, settings, now)?;
        if let Some(session) = cookie(request).and_then(|id| book.sessions.get_mut(&id)) {
            let wait = session.last_ms + settings.min_interval_ms - now_ms;
            if settings.min_interval_ms > 0 && wait > 0 {
                return Err(Fault::FrontEnd {
                    code: "SBL-ODU-01005".to_owned(),
                    message: format!(
                        "The maximum rate of requests was exceeded.  Please try again in {wait} ms."
                    ),
                    wait_ms: Some(wait),
                });
            }
            session.last_ms = now_ms;
        }
        if settings
            .allotment
            .is_some_and(|most| book.operations + operations > most)
        {
            return Err(Fault::front(
                "SBL-SBL-70172",
                "The allotment of operations for your company was reached",
            ));
        }
        book.operations += operations;
        Ok((user, set))
    }

    /// Whether a REST request has a session that goes on, which it keeps alive.
    pub fn admits_rest(&self, request: &Request, settings: &Settings, now: i64) -> bool {
        let mut book = self.book();
        let session = cookie(request).and_then(|id| book.sessions.get_mut(&id));
        match session.filter(|session| !is_over(session, settings, now)) {
            Some(session) => {
                session.used = now;
                true
            }
            None => false,
        }
    }

    /// Counts a REST request; false for one too many in its minute (section 5).
    pub fn rest_rate(&self, request: &Request, settings: &Settings, now: i64) -> bool {
        let mut book = self.book();
        let Some(session) = cookie(request).and_then(|id| book.sessions.get_mut(&id)) else {
            return false;
        };
        if session.minute != now / 60 {
            session.minute = now / 60;
            session.rest = 0;
        }
        session.rest += 1;
        session.rest <= settings.rest_per_minute
    }

    /// Sets how many operations were used.
    pub fn set_operations(&self, used: u64) {
        self.book().operations = used;
    }

    /// The time zone a session asked for.
    pub fn zone(&self, request: &Request) -> Option<String> {
        self.book().sessions.get(&cookie(request)?)?.zone.clone()
    }

    /// Sets the time zone of a session; false without one.
    pub fn set_zone(&self, request: &Request, zone: &str) -> bool {
        let mut book = self.book();
        let session = cookie(request).and_then(|id| book.sessions.get_mut(&id));
        session
            .map(|session| session.zone = Some(zone.to_owned()))
            .is_some()
    }

    /// Ends every session, or that of one request.
    pub fn expire(&self, request: Option<&Request>) {
        let mut book = self.book();
        match request {
            Some(request) => {
                if let Some(id) = cookie(request) {
                    book.sessions.remove(&id);
                    book.affinity.remove(&id);
                }
            }
            None => {
                book.sessions.clear();
                book.affinity.clear();
            }
        }
    }

    /// Counters start again; sessions stay.
    pub fn reset(&self) {
        let mut book = self.book();
        (book.succeeded, book.refused, book.operations) = (0, 0, 0);
    }

    /// Counters as JSON.
    pub fn report(&self) -> Value {
        let book = self.book();
        json!({
            "sessions": book.sessions.len(), "succeeded": book.succeeded,
            "refused": book.refused, "operations": book.operations,
        })
    }
}

fn admitted(
    book: &mut Book,
    request: &Request,
    sender: &Sender,
    settings: &Settings,
    now: i64,
) -> Result<(User, Option<String>), Fault> {
    let expired = || {
        Fault::front(
            "SBL-ODU-01006",
            "The session has expired. Please log in again.",
        )
    };
    if let Some((name, password)) = &sender.credentials {
        let Some(user) = check(name, password) else {
            book.refused += 1;
            return Err(Fault::front(
                "SBL-ODU-01006",
                "Invalid user name or password",
            ));
        };
        if sender.stateful {
            let Some(id) = open(book, user, settings, now) else {
                return Err(Fault::front(
                    "SBL-SBL-70172",
                    "The maximum number of concurrent sessions was reached",
                ));
            };
            let number = book.sessions.get(&id).map_or(0, |session| session.number);
            return Ok((
                User {
                    number: user,
                    order: number,
                },
                Some(id),
            ));
        }
        let id = identifier();
        if sender.keep_alive {
            book.affinity.insert(id.clone(), user);
        }
        book.issued += 1;
        return Ok((
            User {
                number: user,
                order: book.issued,
            },
            Some(id),
        ));
    }
    let id = cookie(request).ok_or_else(expired)?;
    if let Some(user) = book.affinity.get(&id).copied() {
        book.issued += 1;
        return Ok((
            User {
                number: user,
                order: book.issued,
            },
            None,
        ));
    }
    let session = book.sessions.get_mut(&id).ok_or_else(expired)?;
    if is_over(session, settings, now) {
        book.sessions.remove(&id);
        return Err(expired());
    }
    session.used = now;
    Ok((
        User {
            number: session.user,
            order: session.number,
        },
        None,
    ))
}

fn is_over(session: &Session, settings: &Settings, now: i64) -> bool {
    now - session.used > settings.idle_s || now - session.since > settings.life_s
}

/// Opens a session, unless there are too many that live.
fn open(book: &mut Book, user: usize, settings: &Settings, now: i64) -> Option<String> {
    book.sessions
        .retain(|_, session| !is_over(session, settings, now));
    if book.sessions.len() >= settings.session_limit {
        book.refused += 1;
        return None;
    }
    book.issued += 1;
    book.succeeded += 1;
    let id = identifier();
    let session = Session {
        user,
        number: book.issued,
        since: now,
        used: now,
        last_ms: 0,
        zone: None,
        minute: 0,
        rest: 0,
    };
    book.sessions.insert(id.clone(), session);
    Some(id)
}

fn check(user: &str, password: &str) -> Option<usize> {
    let place = [USERNAME, SECOND_USERNAME]
        .iter()
        .position(|known| known.eq_ignore_ascii_case(user))?;
    (password == PASSWORD).then_some(place)
}

fn refusal(text: &'static str) -> Reply {
    Reply::typed(
        403,
        "text/html; charset=UTF-8",
        format!("<html><body>{text}</body></html>"),
    )
}

fn identifier() -> String {
    let mut bytes = [0u8; 24];
    // Without randomness two sessions would share a name; nothing here could go on sensibly.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    format!("{}.pod1", URL_SAFE_NO_PAD.encode(bytes))
}

/// The session a request names in its cookie or, as discouraged, in its address.
fn cookie(request: &Request) -> Option<String> {
    let in_cookie = request
        .headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    let in_path = request.path.split_once(";jsessionid=").map(|(_, id)| id);
    in_cookie
        .or(in_path)
        .map(|id| id.trim_matches('"').to_owned())
}

fn percent_decoded(raw: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let decoded = match byte {
            b'%' => {
                let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
                rest = &tail[2..];
                u8::from_str_radix(hex, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        };
        out.push(decoded);
    }
    String::from_utf8(out).ok()
}
