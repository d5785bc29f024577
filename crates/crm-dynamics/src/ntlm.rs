//! Windows accounts over HTTP: NTLM, whose state belongs to one connection (Dynamics page 2.5).
//!
//! Connections that are signed in wait here for the next request. A refused sign-in is never tried again: accounts
//! lock.

use crate::binding;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crm_core::{Account, CallStats, Error, ErrorKind, ExposeSecret, Place, Result, SecretString};
use crm_http::header::{HeaderValue, WWW_AUTHENTICATE};
use crm_http::{
    Failure, HttpOptions, Method, Outcome, Pinned, PinnedService, Reply, Request, Stage, StatusCode,
};
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentityBuffers, BufferType, ClientRequestFlags, DataRepresentation, Ntlm, SecurityBuffer,
    Sspi, SspiImpl,
};
use std::sync::{Mutex as BlockingMutex, OnceLock, PoisonError};
use tokio::sync::Mutex;

/// Signed-in connections that wait; more are closed after use.
const MOST_IDLE: usize = 4;

const HINT: &str = "Check username and password in the user mapping; the username is DOMAIN\\user or user@domain. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called.";

/// Connections signed in by a Windows account.
pub(crate) struct Windows {
    options: HttpOptions,
    /// Missing ones are told when they are first needed.
    username: Result<String>,
    password: Result<SecretString>,
    service: OnceLock<PinnedService>,
    idle: BlockingMutex<Vec<Pinned>>,
    trust: Mutex<Trust>,
}

/// What is known of the credentials.
enum Trust {
    /// Never tried: one sign-in at a time, for each may count as a failure.
    Untried,
    /// Taken before.
    Accepted,
    /// Sending them again would bring the account closer to being locked.
    Refused(Error),
}

impl Windows {
    /// Connections for the account; nothing is connected or read yet, for most accounts never need one.
    ///
    /// # Errors
    /// None today; a session is made through it all the same.
    pub(crate) fn new(account: &Account, options: &HttpOptions) -> Result<Self> {
        Ok(Self {
            options: options.clone(),
            username: account
                .require("username", Place::UserMapping)
                .map(str::to_owned),
            password: account.require_secret("password").cloned(),
            service: OnceLock::new(),
            idle: BlockingMutex::new(Vec::new()),
            trust: Mutex::new(Trust::Untried),
        })
    }

    /// Sends `request` once over a connection that is signed in.
    ///
    /// # Errors
    /// As [`Pinned::send`]; a refused sign-in is one that cannot be sent.
    pub(crate) async fn send(&self, request: &Request, stats: &CallStats) -> Outcome {
        while let Some(mut connection) = self.waiting() {
            let reply = match connection.send(request, None, stats).await {
                // The server has closed it meanwhile: another one may do.
                Err(failure) if failure.stage == Stage::NotSent => continue,
                outcome => outcome?,
            };
            if reply.status != StatusCode::UNAUTHORIZED {
                self.keep(connection);
                return Ok(reply);
            }
            // Some servers ask for every request.
            if connection.is_open() {
                return self.sign_in(connection, request, stats).await;
            }
        }
        let connection = self.service()?.connect(&request.url).await?;
        self.sign_in(connection, request, stats).await
    }

    fn waiting(&self) -> Option<Pinned> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Pinned) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && connection.is_open() {
            idle.push(connection);
        }
    }

    fn service(&self) -> std::result::Result<&PinnedService, Failure> {
        if self.service.get().is_none() {
            let made = PinnedService::new(&self.options).map_err(unsendable)?;
            // Another caller may have been quicker; both are alike.
            drop(self.service.set(made));
        }
        self.service
            .get()
            .ok_or_else(|| unsendable(Error::new(ErrorKind::CannotConnect, "could not set up TLS")))
    }

    fn credentials(&self) -> Result<AuthIdentityBuffers> {
        let username = self.username.as_deref().map_err(Clone::clone)?;
        let password = self.password.as_ref().map_err(Clone::clone)?;
        // A principal name travels whole, without a domain beside it (MS-NLMP 3.1.1).
        let (domain, user) = username.split_once('\\').unwrap_or(("", username));
        Ok(AuthIdentityBuffers::from_utf8(
            user,
            domain,
            password.expose_secret(),
        ))
    }

    /// Signs `connection` in and has `request` answered over it.
    async fn sign_in(
        &self,
        mut connection: Pinned,
        request: &Request,
        stats: &CallStats,
    ) -> Outcome {
        let mut trust = self.trust.lock().await;
        match &*trust {
            Trust::Refused(error) => return Err(unsendable(error.clone())),
            // Others need not wait for this one's request.
            Trust::Accepted => {
                drop(trust);
                let outcome = self.handshake(&mut connection, request, stats).await;
                if let Err(Refusal::Refused(error)) = &outcome {
                    *self.trust.lock().await = Trust::Refused(error.clone());
                }
                return self.settled(connection, outcome);
            }
            Trust::Untried => {}
        }
        let outcome = self.handshake(&mut connection, request, stats).await;
        match &outcome {
            Ok(_) => *trust = Trust::Accepted,
            Err(Refusal::Refused(error)) => *trust = Trust::Refused(error.clone()),
            Err(Refusal::Unasked(_) | Refusal::Failed(_)) => {}
        }
        drop(trust);
        self.settled(connection, outcome)
    }

    fn settled(&self, connection: Pinned, outcome: std::result::Result<Reply, Refusal>) -> Outcome {
        match outcome {
            Ok(reply) => {
                self.keep(connection);
                Ok(reply)
            }
            // The connection is not signed in, so it is not kept.
            Err(Refusal::Unasked(reply)) => Ok(reply),
            Err(Refusal::Failed(failure)) => Err(failure),
            Err(Refusal::Refused(error)) => Err(unsendable(error)),
        }
    }

    async fn handshake(
        &self,
        connection: &mut Pinned,
        request: &Request,
        stats: &CallStats,
    ) -> std::result::Result<Reply, Refusal> {
        let credentials = self.credentials().map_err(unsendable)?;
        let mut ntlm = Ntlm::with_config(NtlmConfig::default());
        let mut credentials = Some(credentials);
        let greeting = step(&mut ntlm, &mut credentials, None, None)?;
        // The first leg does nothing but greet, so it carries no body (2.5).
        let mut bare = Request::new(request.method.clone(), request.url.clone());
        bare.headers = request.headers.clone();
        if request.method != Method::GET {
            bare = bare.body("");
        }
        let mut scheme = "NTLM";
        let mut reply = self
            .leg(connection, &bare, scheme, &greeting, stats)
            .await?;
        if challenge_in(&reply, scheme).is_none() && offers(&reply, "Negotiate") {
            scheme = "Negotiate";
            reply = self
                .leg(connection, &bare, scheme, &greeting, stats)
                .await?;
        }
        let challenge = match challenge_in(&reply, scheme) {
            Some(challenge) => challenge,
            None => return Err(unchallenged(reply, request)),
        };
        let bindings = connection.server_certificate().map(binding::of_certificate);
        let proof = step(&mut ntlm, &mut credentials, Some(challenge), bindings)?;
        let reply = self.leg(connection, request, scheme, &proof, stats).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        Err(Refusal::Refused(
            Error::new(
                ErrorKind::LoginRefused,
                "the server refused the Windows account",
            )
            .with_detail("HTTP status 401")
            .with_hint(HINT),
        ))
    }

    async fn leg(
        &self,
        connection: &mut Pinned,
        request: &Request,
        scheme: &str,
        message: &[u8],
        stats: &CallStats,
    ) -> std::result::Result<Reply, Failure> {
        let text = format!("{scheme} {}", STANDARD.encode(message));
        let authorization = HeaderValue::from_str(&text).map_err(|_| unusable_challenge())?;
        let outcome = connection.send(request, Some(&authorization), stats).await;
        outcome.map_err(|failure| match failure.stage {
            Stage::Redirected => Failure {
                error: failure.error.with_hint(ELSEWHERE),
                ..failure
            },
            _ => failure,
        })
    }
}

/// Why nobody is signed in.
enum Refusal {
    /// The server answered without asking who it is.
    Unasked(Reply),
    /// The credentials are wrong: not to be sent again.
    Refused(Error),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

const ELSEWHERE: &str = "The server signs users in elsewhere, as AD FS does. Set the server option auth to adfs or ws_trust.";

/// A reply to the greeting that is no challenge: the server has no use for Windows accounts, or another trouble.
fn unchallenged(reply: Reply, request: &Request) -> Refusal {
    let error = if reply.status == StatusCode::UNAUTHORIZED {
        Error::new(
            ErrorKind::NotSupported,
            "the server does not let Windows accounts sign in by NTLM",
        )
        .with_hint("The server may want Kerberos, or a token: set the server option auth to adfs or ws_trust.")
    } else if reply.status.is_success() && request.body.is_some() {
        // The request went without its body, so its answer is not the request's.
        Error::new(
            ErrorKind::Undecodable,
            "the server answered a sign-in as if it were a request",
        )
        .with_hint(ELSEWHERE)
    } else {
        return Refusal::Unasked(reply);
    };
    unsendable(error).into()
}

/// One step of the protocol: the message to send.
fn step(
    ntlm: &mut Ntlm,
    credentials: &mut Option<AuthIdentityBuffers>,
    challenge: Option<Vec<u8>>,
    bindings: Option<Vec<u8>>,
) -> std::result::Result<Vec<u8>, Failure> {
    let mut input: Vec<SecurityBuffer> = challenge
        .into_iter()
        .map(|message| SecurityBuffer::new(message, BufferType::Token))
        .collect();
    input.extend(
        bindings
            .into_iter()
            .map(|bindings| SecurityBuffer::new(bindings, BufferType::ChannelBindings)),
    );
    let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
    let mut builder = ntlm
        .initialize_security_context()
        .with_credentials_handle(credentials)
        .with_context_requirements(ClientRequestFlags::empty())
        .with_target_data_representation(DataRepresentation::Native)
        .with_input(&mut input)
        .with_output(&mut output);
    // The library's own words would tell what it was given.
    ntlm.initialize_security_context_impl(&mut builder)
        .and_then(|mut generator| generator.resolve_to_result())
        .map_err(|_| unusable_challenge())?;
    Ok(output.swap_remove(0).buffer)
}

fn unusable_challenge() -> Failure {
    unsendable(Error::new(
        ErrorKind::Undecodable,
        "the server's NTLM challenge cannot be used",
    ))
}

/// The challenge for `scheme` in a reply that holds one.
fn challenge_in(reply: &Reply, scheme: &str) -> Option<Vec<u8>> {
    if reply.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    let headers = reply.headers.get_all(WWW_AUTHENTICATE).iter();
    let mut texts = headers.filter_map(|value| value.to_str().ok());
    texts.find_map(|text| {
        let (named, message) = text.trim().split_once(' ')?;
        let message = named.eq_ignore_ascii_case(scheme).then(|| message.trim())?;
        STANDARD.decode(message).ok()
    })
}

/// A reply names `scheme` among the ways to sign in.
pub(crate) fn offers(reply: &Reply, scheme: &str) -> bool {
    let headers = reply.headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    // Several may share a line.
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|challenge| challenge.split_ascii_whitespace().next())
        .any(|named| named.eq_ignore_ascii_case(scheme))
}

fn unsendable(error: Error) -> Failure {
    Failure {
        stage: Stage::CannotBeSent,
        error,
    }
}

#[cfg(test)]
mod tests;
