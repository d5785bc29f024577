//! A request without a reply: how far it came, and what to tell the user.

use crate::origin::host_of;
use crate::service::Reply;
use crm_core::{Error, ErrorKind};
use std::error::Error as StdError;
use url::Url;

/// What one try comes to.
pub type Outcome = std::result::Result<Reply, Failure>;

/// How far a request came. Decides whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was sent, and a later try may do better.
    NotSent,
    /// Nothing was sent, and nothing will change that soon: the name, the certificate, the request itself.
    CannotBeSent,
    /// It may have arrived; the reply did not.
    Lost,
    /// It was sent elsewhere: a redirect, which is not followed.
    Redirected,
    /// A reply came that cannot be used.
    Unusable,
}

impl Stage {
    /// The host may have done what the request asks for.
    pub fn may_have_arrived(self) -> bool {
        match self {
            Self::NotSent | Self::CannotBeSent | Self::Redirected => false,
            Self::Lost | Self::Unusable => true,
        }
    }
}

/// Why there is no reply.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far the request came.
    pub stage: Stage,
    /// What the user is told.
    pub error: Error,
}

impl Failure {
    pub(crate) fn at(stage: Stage, error: Error) -> Self {
        Self { stage, error }
    }

    /// Reads the HTTP client's error. Its own text names the address, query included, so only the causes are used.
    pub(crate) fn from_client(error: &reqwest::Error, url: &Url) -> Self {
        let host = host_of(url);
        let causes = causes_of(error);
        let reason = causes.last().cloned().unwrap_or_default();
        if !error.is_connect() {
            let message = if error.is_timeout() {
                format!("host \"{host}\" did not answer in time")
            } else {
                format!("the connection to \"{host}\" broke")
            };
            let stage = if error.is_builder() {
                Stage::CannotBeSent
            } else {
                Stage::Lost
            };
            return Self {
                stage,
                error: with_reason(Error::new(ErrorKind::ConnectionLost, message), reason),
            };
        }
        Self::unreachable(error, error.is_timeout(), url)
    }

    /// No connection was made: the causes say whether a later try may do better.
    pub(crate) fn unreachable(
        error: &(dyn StdError + 'static),
        timed_out: bool,
        url: &Url,
    ) -> Self {
        let causes = causes_of(error);
        let unreachable = Error::new(
            ErrorKind::CannotConnect,
            format!("could not connect to \"{}\"", host_of(url)),
        );
        if let Some(fault) = tls_fault(error) {
            return Self {
                stage: Stage::CannotBeSent,
                error: describe_tls(unreachable, fault),
            };
        }
        let is_name = causes.iter().any(|cause| cause.contains("dns error"));
        let may_pass = causes
            .iter()
            .any(|cause| cause.contains("Temporary failure"));
        let stage = if is_name && !may_pass {
            Stage::CannotBeSent
        } else {
            Stage::NotSent
        };
        let reason = if timed_out {
            "The connection timed out.".into()
        } else {
            causes.into_iter().next_back().unwrap_or_default()
        };
        Self {
            stage,
            error: with_reason(unreachable, reason),
        }
    }

    /// The connection broke, or nothing came in time, after the request may have been sent.
    pub(crate) fn lost(error: Option<&(dyn StdError + 'static)>, url: &Url) -> Self {
        let host = host_of(url);
        let (message, reason) = match error {
            Some(error) => {
                let reason = causes_of(error).into_iter().next_back();
                (
                    format!("the connection to \"{host}\" broke"),
                    reason.unwrap_or_else(|| error.to_string()),
                )
            }
            None => (
                format!("host \"{host}\" did not answer in time"),
                String::new(),
            ),
        };
        Self {
            stage: Stage::Lost,
            error: with_reason(Error::new(ErrorKind::ConnectionLost, message), reason),
        }
    }
}

fn with_reason(error: Error, reason: String) -> Error {
    if reason.is_empty() {
        error
    } else {
        error.with_detail(reason)
    }
}

fn describe_tls(error: Error, fault: &rustls::Error) -> Error {
    use rustls::CertificateError as Certificate;
    let rustls::Error::InvalidCertificate(certificate) = fault else {
        return error.with_detail(format!("TLS: {fault}"));
    };
    match certificate {
        Certificate::UnknownIssuer => error
            .with_detail("TLS: the certificate's issuer is unknown")
            .with_hint("If the host uses a private certificate authority, name its PEM file in the server option ca_file."),
        // An authority of the same name is trusted, but another key of it has signed.
        Certificate::BadSignature => error
            .with_detail("TLS: the certificate is signed by an unknown key of its issuer")
            .with_hint("If the private certificate authority was made anew, the server option ca_file must name its new PEM file."),
        Certificate::Expired | Certificate::ExpiredContext { .. } => error
            .with_detail("TLS: the certificate has expired")
            .with_hint("Check this machine's clock; if it is right, the host must renew its certificate."),
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => error
            .with_detail("TLS: the certificate is not valid yet")
            .with_hint("Check this machine's clock."),
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => error
            .with_detail("TLS: the certificate is for another host name")
            .with_hint("Check the server option url."),
        other => error.with_detail(format!("TLS: invalid certificate: {other}")),
    }
}

fn causes_of(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

fn tls_fault<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(fault) = error.downcast_ref::<rustls::Error>() {
        return Some(fault);
    }
    // An I/O error gives as its source not its inner error but that one's source.
    if let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        return tls_fault(inner);
    }
    error.source().and_then(tls_fault)
}
