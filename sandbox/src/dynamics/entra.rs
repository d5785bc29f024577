//! Entra ID and AD FS as token endpoints: password and client-credentials grants, their refusals, and the
//! tokens given out. Sections 2.1 to 2.4 and 2.6 of the protocol page; all values here are TEST values.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::request::{Request, pairs};
use crate::salesforce::errors::Reply;

/// The tenant of the test organisation.
pub const TENANT: &str = "7e57da7a-0000-4000-8000-000000000001";
/// TEST value: a public application.
pub const PUBLIC_CLIENT: &str = "7e57c11e-0000-4000-8000-000000000001";
/// TEST value: a confidential application that is a user of the organisation.
pub const CLIENT_ID: &str = "7e57c11e-0000-4000-8000-000000000002";
/// TEST value: one that is not.
pub const STRANGER_CLIENT: &str = "7e57c11e-0000-4000-8000-000000000003";
/// TEST value.
pub const CLIENT_SECRET: &str = "test-only-entra-secret~&+ 0123";
/// The application id Microsoft publishes for those who move from Office 365 sign-in.
const PUBLISHED_CLIENT: &str = "51f81489-12ee-4a9e-aaae-a2591f45987d";
/// TEST value: the password of every user.
pub const PASSWORD: &str = "test-only-Pa55&<word>";
/// TEST users: works; works; password expired; needs a second factor; blocked by a policy; disabled.
pub const USERS: &[(&str, u32)] = &[
    ("tester@contoso.test", 0),
    ("second@contoso.test", 0),
    ("expired@contoso.test", 50_055),
    ("mfa@contoso.test", 50_076),
    ("policy@contoso.test", 53_003),
    ("disabled@contoso.test", 50_057),
];
/// Wrong passwords after which an account is locked.
const MAX_FAILURES: u32 = 10;
/// Life of a token in seconds.
const LIFE: i64 = 3_599;

/// Who a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Place in [`USERS`].
    User(usize),
    Application,
    /// Known to the directory, unknown to the organisation.
    Stranger,
}

#[derive(Default)]
struct State {
    tokens: HashMap<String, (Caller, Issuer)>,
    failures: HashMap<String, u32>,
    signed_in: u64,
    refused: u64,
}

/// Which of the two gave a token: it is good for its own organisation address only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Entra,
    Adfs,
}

/// Both endpoints.
pub struct Tokens {
    /// Addresses a token may be asked for, without a trailing slash.
    resources: Vec<String>,
    adfs_resource: String,
    state: Mutex<State>,
}

struct Denied {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

fn denied(error: &'static str, code: u32, text: impl Into<String>) -> Denied {
    let status = match error {
        "invalid_client" => 401,
        _ => 400,
    };
    Denied {
        status,
        error,
        code,
        text: text.into(),
    }
}

impl Tokens {
    /// Endpoints for the organisation at this address.
    pub fn new(organisation: &str, adfs_organisation: &str) -> Self {
        Self {
            resources: vec![organisation.to_owned()],
            adfs_resource: adfs_organisation.to_owned(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets failures and counters; tokens stay.
    pub fn reset(&self) {
        let mut state = self.state();
        state.failures.clear();
        state.signed_in = 0;
        state.refused = 0;
    }

    /// Ends one token, or all.
    pub fn expire(&self, token: Option<&str>) {
        let mut state = self.state();
        match token {
            Some(token) => drop(state.tokens.remove(token)),
            None => state.tokens.clear(),
        }
    }

    /// Counts a sign-in at another service that belongs to these.
    pub fn count(&self, signed_in: bool) {
        let mut state = self.state();
        match signed_in {
            true => state.signed_in += 1,
            false => state.refused += 1,
        }
    }

    /// Sign-ins that worked and that did not.
    pub fn report(&self) -> Value {
        let state = self.state();
        json!({"succeeded": state.signed_in, "refused": state.refused})
    }

    /// Who a bearer token stands for.
    pub fn caller(&self, request: &Request, issuer: Issuer) -> Option<Caller> {
        let token = request.header("authorization")?.strip_prefix("Bearer ")?;
        let (caller, by) = *self.state().tokens.get(token)?;
        (by == issuer).then_some(caller)
    }

    fn issue(&self, caller: Caller, issuer: Issuer) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(json!({"typ": "JWT", "alg": "none"})),
            part(json!({"tid": TENANT, "jti": Uuid::new_v4(), "note": "TEST"})),
            URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
        );
        let mut state = self.state();
        state.signed_in += 1;
        state.tokens.insert(token.clone(), (caller, issuer));
        token
    }

    /// `POST /{tenant}/oauth2/token` and `/{tenant}/oauth2/v2.0/token`.
    pub fn entra(&self, request: &Request, tenant: &str, is_v2: bool) -> Reply {
        let form = form(request);
        match self.grant(request, &form, tenant, is_v2) {
            Ok(caller) => {
                let token = self.issue(caller, Issuer::Entra);
                let mut answer = json!({"token_type": "Bearer", "access_token": token});
                if is_v2 {
                    answer["scope"] = json!(form.get("scope"));
                    answer["expires_in"] = json!(LIFE);
                    answer["ext_expires_in"] = json!(LIFE);
                } else {
                    // Strings on the old endpoint.
                    answer["expires_in"] = json!(LIFE.to_string());
                    answer["expires_on"] = json!((Utc::now().timestamp() + LIFE).to_string());
                    answer["resource"] = json!(form.get("resource"));
                }
                Reply::ok(&answer).header("Cache-Control", "no-store, no-cache")
            }
            Err(denial) => self.refuse(&denial, "AADSTS"),
        }
    }

    fn refuse(&self, denial: &Denied, prefix: &str) -> Reply {
        self.state().refused += 1;
        let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
        let timestamp = Utc::now().format("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "{prefix}{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            denial.code, denial.text
        )
        .replace(" Trace ID", "\r\nTrace ID");
        let mut answer = json!({
            "error": denial.error, "error_description": description,
        });
        if prefix == "AADSTS" {
            answer["error_codes"] = json!([denial.code]);
            answer["timestamp"] = json!(timestamp);
            answer["trace_id"] = json!(trace);
            answer["correlation_id"] = json!(correlation);
            answer["error_uri"] = json!(format!(
                "https://login.microsoftonline.com/error?code={}",
                denial.code
            ));
        }
        Reply::json(denial.status, answer.to_string())
    }

    fn grant(
        &self,
        request: &Request,
        form: &HashMap<String, String>,
        tenant: &str,
        is_v2: bool,
    ) -> Result<Caller, Denied> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if request.method != "POST" || form.is_empty() {
            return Err(denied(
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'grant_type'.",
            ));
        }
        let grant = field("grant_type");
        let known = tenant == TENANT || tenant == "contoso.test" || tenant == "organizations";
        if matches!(tenant, "common" | "consumers") && grant == "password" {
            return Err(denied(
                "invalid_request",
                9_001_023,
                "The grant type is not supported over the /common or /consumers endpoints.",
            ));
        }
        if !known {
            return Err(denied(
                "invalid_request",
                90_002,
                format!("Tenant '{tenant}' not found."),
            ));
        }
        let client = field("client_id");
        if ![PUBLIC_CLIENT, PUBLISHED_CLIENT, CLIENT_ID, STRANGER_CLIENT].contains(&client) {
            return Err(denied(
                "unauthorized_client",
                700_016,
                format!("Application with identifier '{client}' was not found in the directory."),
            ));
        }
        let wanted = match is_v2 {
            true => field("scope")
                .split(' ')
                .find_map(|scope| {
                    scope
                        .strip_suffix(".default")
                        .or_else(|| scope.strip_suffix("user_impersonation"))
                })
                .unwrap_or_default(),
            false => field("resource"),
        };
        let wanted = wanted.trim_end_matches('/');
        if !self.resources.iter().any(|resource| resource == wanted) {
            return Err(match is_v2 {
                true if wanted.is_empty() => denied(
                    "invalid_scope",
                    70_011,
                    "The provided value for the input parameter 'scope' is not valid.",
                ),
                _ => denied(
                    "invalid_resource",
                    500_011,
                    format!("The resource principal named {wanted} was not found in the tenant."),
                ),
            });
        }
        let confidential = client == CLIENT_ID || client == STRANGER_CLIENT;
        let secret = field("client_secret");
        if confidential && secret.is_empty() {
            return Err(denied(
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            ));
        }
        if confidential && secret != CLIENT_SECRET {
            return Err(denied(
                "invalid_client",
                7_000_215,
                "Invalid client secret provided.",
            ));
        }
        if !confidential && !secret.is_empty() {
            return Err(denied(
                "invalid_client",
                700_025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            ));
        }
        match grant {
            "client_credentials" if !confidential => Err(denied(
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )),
            "client_credentials" if tenant == "organizations" => Err(denied(
                "invalid_request",
                53_004,
                "Provide the tenant for the client credentials grant.",
            )),
            "client_credentials" if client == STRANGER_CLIENT => Ok(Caller::Stranger),
            "client_credentials" => Ok(Caller::Application),
            "password" => self.password(field("username"), field("password")),
            other => Err(denied(
                "unsupported_grant_type",
                70_003,
                format!("The grant type '{other}' is not supported."),
            )),
        }
    }

    fn password(&self, username: &str, password: &str) -> Result<Caller, Denied> {
        let Some(user) = USERS
            .iter()
            .position(|(name, _)| name.eq_ignore_ascii_case(username))
        else {
            return Err(denied(
                "invalid_grant",
                50_034,
                "The user account does not exist in the directory.",
            ));
        };
        let mut state = self.state();
        let failures = state.failures.entry(username.to_lowercase()).or_default();
        if *failures >= MAX_FAILURES {
            return Err(denied("invalid_grant", 50_053, "The account is locked."));
        }
        if password != PASSWORD {
            *failures += 1;
            return Err(denied(
                "invalid_grant",
                50_126,
                "Error validating credentials due to invalid username or password.",
            ));
        }
        *failures = 0;
        let text = match USERS[user].1 {
            0 => return Ok(Caller::User(user)),
            50_055 => "The password is expired.",
            50_076 => "You must use multi-factor authentication to access the resource.",
            50_057 => "The user account is disabled.",
            _ => "Access has been blocked by Conditional Access policies.",
        };
        let error = match USERS[user].1 {
            50_076 | 53_003 => "interaction_required",
            _ => "invalid_grant",
        };
        Err(denied(error, USERS[user].1, text))
    }

    /// `POST /adfs/oauth2/token`: the password grant alone.
    pub fn adfs(&self, request: &Request) -> Reply {
        let form = form(request);
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let outcome = if request.method != "POST" || field("grant_type") != "password" {
            Err(denied(
                "unsupported_grant_type",
                9_628,
                "The grant type is not supported.",
            ))
        } else if field("client_id") != PUBLIC_CLIENT {
            Err(denied(
                "invalid_client",
                9_223,
                "The client is not registered.",
            ))
        } else if field("resource").trim_end_matches('/') != self.adfs_resource {
            Err(denied(
                "invalid_resource",
                9_605,
                "The client is not allowed to access the requested resource.",
            ))
        } else {
            windows_user(field("username"), field("password"))
                .ok_or_else(|| denied("invalid_grant", 9_659, "Invalid 'username' or 'password'."))
        };
        match outcome {
            Ok(user) => {
                let token = self.issue(Caller::User(user), Issuer::Adfs);
                Reply::ok(&json!({
                    "access_token": token, "token_type": "bearer", "expires_in": 3_600,
                }))
            }
            Err(denial) => self.refuse(&denial, "MSIS"),
        }
    }
}

/// TEST users of the Windows domain, as `DOMAIN\user`; the password is [`PASSWORD`].
pub const WINDOWS_DOMAIN: &str = "CONTOSO";
/// The account names behind the first two of [`USERS`].
pub const WINDOWS_USERS: &[&str] = &["tester", "second"];

/// The user behind `DOMAIN\user` and a password.
pub fn windows_user(name: &str, password: &str) -> Option<usize> {
    let (domain, user) = name.split_once('\\')?;
    let found = WINDOWS_USERS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(user))?;
    (domain.eq_ignore_ascii_case(WINDOWS_DOMAIN) && password == PASSWORD).then_some(found)
}

fn form(request: &Request) -> HashMap<String, String> {
    let form_type = request
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    match form_type {
        true => pairs(std::str::from_utf8(&request.body).unwrap_or_default())
            .into_iter()
            .collect(),
        false => HashMap::new(),
    }
}
