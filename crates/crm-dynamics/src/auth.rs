//! The ways to sign in (Dynamics page, section 2): tokens of Entra ID and of AD FS. Windows accounts are in `ntlm.rs`,
//! WS-Trust in `soap/`. A refused sign-in is never tried again: accounts lock.

use crate::error;
use crate::options::{OPTIONS, PUBLIC_CLIENT, is_sign_in_host};
use crate::session::{Deployment, DynamicsSession, Transport, host_of};
use crm_core::{
    Account, CallStats, Error, ErrorKind, ExposeSecret, Place, Result, SecretString, json,
};
use crm_http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use crm_http::{Bearer, Fresh, Method, Reply, Request, Url, send_again};
use serde::Deserialize;
use std::time::Duration;

/// A token is renewed so long before it ends (2.2).
const MARGIN: Duration = Duration::from_secs(300);

/// A way to sign in, an `auth` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Entra ID with user and password.
    Password,
    /// Entra ID with an application's secret.
    ClientCredentials,
    /// A Windows account, on premise.
    Ntlm,
    /// AD FS with user and password, on premise.
    Adfs,
    /// WS-Trust with user and password, on premise.
    WsTrust,
}

impl Form {
    /// The option's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::Ntlm => "ntlm",
            Self::Adfs => "adfs",
            Self::WsTrust => "ws_trust",
        }
    }

    /// How records travel with it.
    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::WsTrust => Transport::Soap,
            _ => Transport::OData,
        }
    }

    fn is_online(self) -> bool {
        matches!(self, Self::Password | Self::ClientCredentials)
    }
}

/// An account signed in by a token.
#[derive(Debug)]
pub(crate) struct SignIn {
    /// The token and the host it belongs to.
    pub bearer: Bearer,
}

/// The way that the options ask for; nothing where the server has to be asked.
///
/// # Errors
/// [`ErrorKind::OptionValue`] for a way that the deployment does not have.
pub(crate) fn named(account: &Account) -> Result<Option<Form>> {
    const ALL: [Form; 5] = [
        Form::Password,
        Form::ClientCredentials,
        Form::Ntlm,
        Form::Adfs,
        Form::WsTrust,
    ];
    let deployment = Deployment::of(account);
    let Some(name) = account.get("auth") else {
        return Ok(match deployment {
            Deployment::OnPremise => None,
            Deployment::WebApi if account.has("client_secret") && !account.has("username") => {
                Some(Form::ClientCredentials)
            }
            Deployment::WebApi | Deployment::Office365 => Some(Form::Password),
        });
    };
    let form = ALL.into_iter().find(|form| form.name() == name);
    let form = form.ok_or_else(|| {
        Error::new(
            ErrorKind::OptionValue,
            format!("no way to sign in is named \"{name}\""),
        )
    })?;
    if form.is_online() == (deployment != Deployment::OnPremise) {
        return Ok(Some(form));
    }
    Err(Error::new(
        ErrorKind::OptionValue,
        format!("the deployment has no way to sign in named \"{name}\""),
    )
    .with_hint(if form.is_online() {
        "On premise, auth is ntlm, adfs or ws_trust."
    } else {
        "Set the server option deployment to on_premise, or choose password or client_credentials."
    }))
}

/// Signs in for a token.
///
/// # Errors
/// [`ErrorKind::OptionMissing`] naming an option, [`ErrorKind::LoginRefused`] with the vendor's words.
pub(crate) async fn sign_in(
    session: &DynamicsSession,
    form: Form,
    stats: &CallStats,
) -> Result<Fresh<SignIn>> {
    let account = session.account();
    let secrets = OPTIONS.iter().filter(|option| option.secret);
    let secrets = secrets.filter_map(|option| account.secret(option.name));
    ask(session, form, stats)
        .await
        .map_err(|error| secrets.fold(error, Error::without))
}

async fn ask(session: &DynamicsSession, form: Form, stats: &CallStats) -> Result<Fresh<SignIn>> {
    // What is missing is said before anything is sent.
    let credentials = credentials(session.account(), form)?;
    let authority = authority(session, form, stats).await?;
    let mut pairs = credentials;
    pairs.push(match form {
        Form::Adfs => ("resource", authority.resource.into()),
        _ => ("scope", scope(&authority.resource).into()),
    });
    let request = Request::new(Method::POST, authority.token_endpoint)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .body(encoded(&pairs));
    // Safe to repeat only where nothing arrived or the server said "later": a lost reply may be a counted failure.
    let attempt = || session.http().send(&request, None, stats);
    let reply = send_again(session.policy(), false, stats, attempt)
        .await?
        .reply;
    if !reply.status.is_success() {
        return Err(error::refused_sign_in(&reply, form));
    }
    granted(&reply, session.root())
}

fn credentials(account: &Account, form: Form) -> Result<Vec<(&'static str, SecretString)>> {
    let client_id = match account.get("client_id") {
        Some(id) => id,
        None if Deployment::of(account) == Deployment::Office365 => PUBLIC_CLIENT,
        None => account.require("client_id", Place::UserMapping)?,
    };
    let mut pairs = vec![("client_id", SecretString::from(client_id.to_owned()))];
    if form == Form::ClientCredentials {
        pairs.push(("grant_type", "client_credentials".into()));
        pairs.push((
            "client_secret",
            account.require_secret("client_secret")?.clone(),
        ));
        return Ok(pairs);
    }
    pairs.push(("grant_type", "password".into()));
    let username = account.require("username", Place::UserMapping)?;
    pairs.push(("username", username.to_owned().into()));
    pairs.push(("password", account.require_secret("password")?.clone()));
    // A public application must not send one (2.2).
    if let Some(secret) = account.secret("client_secret") {
        pairs.push(("client_secret", secret.clone()));
    }
    Ok(pairs)
}

/// Where to sign in, and for what.
#[derive(Debug, PartialEq)]
struct Authority {
    token_endpoint: Url,
    resource: String,
}

/// Both slashes before `.default` occur (2.2); the resource's own one is kept as it came.
fn scope(resource: &str) -> String {
    format!(
        "{}/.default",
        resource.strip_suffix('/').unwrap_or(resource)
    )
}

async fn authority(session: &DynamicsSession, form: Form, stats: &CallStats) -> Result<Authority> {
    let account = session.account();
    let named = account.get("authority").map(|text| {
        Url::parse(text).map_err(|_| {
            Error::new(
                ErrorKind::OptionValue,
                "option \"authority\" is not an address",
            )
        })
    });
    let named = named.transpose()?;
    let tenant = account.get("tenant");
    let own = session.root().origin().ascii_serialization();
    // With the tenant given there is nothing left to ask, unless the organisation lies in another cloud.
    let is_known = named.is_some() || session.root().as_str().contains(".dynamics.com/");
    if form.is_online()
        && is_known
        && let Some(tenant) = tenant
    {
        return entra(named.as_ref(), None, tenant, own);
    }
    let challenge = match (challenge(session, stats).await, &named) {
        // A server that does not point to AD FS still takes its tokens where the user knows better.
        (Err(error), Some(named))
            if form == Form::Adfs && error.kind() == ErrorKind::Undecodable =>
        {
            Challenge {
                authorization_uri: at(named, "/adfs/oauth2/authorize")?.into(),
                resource_id: Some(session.root().as_str().to_owned()),
            }
        }
        (challenge, _) => challenge?,
    };
    let pointed = Url::parse(&challenge.authorization_uri).map_err(|_| {
        Error::new(
            ErrorKind::Undecodable,
            "the server names a sign-in address that is none",
        )
    })?;
    let resource = challenge.resource_id.unwrap_or(own);
    if form == Form::Adfs {
        let trusted = trusted_host(named.as_ref(), &pointed, session.root())?;
        let path = pointed.path();
        let path = path.strip_suffix("/authorize").unwrap_or("/adfs/oauth2");
        return Ok(Authority {
            token_endpoint: at(&trusted, &format!("{path}/token"))?,
            resource,
        });
    }
    let told = pointed.path_segments().and_then(|mut path| path.next());
    let told = told.filter(|tenant| !tenant.is_empty() && *tenant != "common");
    let tenant = tenant.or(told).unwrap_or("organizations");
    let trusted = trusted_host(named.as_ref(), &pointed, session.root())?;
    entra(named.as_ref(), Some(&trusted), tenant, resource)
}

fn entra(
    named: Option<&Url>,
    trusted: Option<&Url>,
    tenant: &str,
    resource: String,
) -> Result<Authority> {
    let usual = Url::parse("https://login.microsoftonline.com")
        .map_err(|fault| Error::new(ErrorKind::OptionValue, fault.to_string()))?;
    let host = named.or(trusted).unwrap_or(&usual);
    let is_name = !tenant.is_empty()
        && tenant
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !is_name {
        return Err(Error::new(
            ErrorKind::OptionValue,
            "the tenant is neither a GUID nor a domain",
        )
        .with_hint("Set the server option tenant."));
    }
    Ok(Authority {
        token_endpoint: at(host, &format!("/{tenant}/oauth2/v2.0/token"))?,
        resource,
    })
}

fn at(host: &Url, path: &str) -> Result<Url> {
    host.join(path).map_err(|_| {
        Error::new(
            ErrorKind::Undecodable,
            "the server names a sign-in address that is none",
        )
    })
}

/// The host that may see the password: the server itself, one of the vendor's, or the one the user names.
pub(crate) fn trusted_host(named: Option<&Url>, pointed: &Url, root: &Url) -> Result<Url> {
    if let Some(named) = named {
        return Ok(named.clone());
    }
    if is_sign_in_host(pointed) || pointed.origin() == root.origin() {
        return Ok(pointed.clone());
    }
    Err(Error::new(
        ErrorKind::OptionMissing,
        format!(
            "refused to sign in at \"{}\", which the server points to",
            host_of(pointed)
        ),
    )
    .with_hint("If that is the right host, name it in the server option authority."))
}

/// What an unsigned request is told (2.1).
#[derive(Debug, PartialEq)]
pub(crate) struct Challenge {
    /// Where users sign in.
    pub authorization_uri: String,
    /// What the token is for.
    pub resource_id: Option<String>,
}

async fn challenge(session: &DynamicsSession, stats: &CallStats) -> Result<Challenge> {
    let url = session.resolve(&session.path(""))?;
    let request =
        Request::new(Method::GET, url).header(ACCEPT, HeaderValue::from_static("application/json"));
    let attempt = || session.http().send(&request, None, stats);
    let reply = send_again(session.policy(), true, stats, attempt)
        .await?
        .reply;
    challenge_of(&reply).ok_or_else(|| {
        let error = Error::new(
            ErrorKind::Undecodable,
            "the server does not say where to sign in",
        );
        error
            .with_detail(format!("HTTP status {}", reply.status.as_u16()))
            .with_hint("Check the server option url, or set tenant and authority.")
    })
}

/// The challenge of a reply; others than bearer ones are passed over (2.1).
pub(crate) fn challenge_of(reply: &Reply) -> Option<Challenge> {
    let headers = reply.headers.get_all(WWW_AUTHENTICATE).iter();
    let mut texts = headers.filter_map(|value| value.to_str().ok());
    texts.find_map(|text| {
        let parameters = text
            .trim_start()
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        parameters?;
        let parameters = &text.trim_start()[7..];
        let value_of = |name: &str| {
            parameters.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                let value = value.trim().trim_matches('"');
                key.trim()
                    .eq_ignore_ascii_case(name)
                    .then(|| value.to_owned())
            })
        };
        Some(Challenge {
            authorization_uri: value_of("authorization_uri")?,
            resource_id: value_of("resource_id"),
        })
    })
}

fn encoded(form: &[(&str, SecretString)]) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        body.append_pair(name, value.expose_secret());
    }
    body.finish()
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

fn granted(reply: &Reply, root: &Url) -> Result<Fresh<SignIn>> {
    if json::is_markup(&reply.body) {
        return Err(json::not_json("a token"));
    }
    let token: TokenReply = serde_json::from_slice(&reply.body)
        .map_err(|_| Error::new(ErrorKind::Undecodable, "the sign-in's reply cannot be read"))?;
    Ok(Fresh {
        token: SignIn {
            bearer: Bearer::new(token.access_token.into(), root.as_str())?,
        },
        life: token.expires_in.as_ref().and_then(usable_life),
    })
}

/// The announced life less a margin for the way; half of a short one. Old versions tell it as text (2.2).
fn usable_life(expires_in: &serde_json::Value) -> Option<Duration> {
    let seconds = match expires_in {
        serde_json::Value::String(text) => text.parse().ok()?,
        value => value.as_u64()?,
    };
    let life = Duration::from_secs(seconds);
    Some(life - MARGIN.min(life / 2))
}

#[cfg(test)]
mod tests;
