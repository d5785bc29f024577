//! One operation of the Organization service: sent with a fresh signature at each try, its faults judged.

use super::envelope::{
    ADDRESSING, CONTRACTS, Message, SERVICES, SOAP_11, SOAP_12, is_message, open,
};
use super::fault::{self, Fault};
use super::policy::SERVICE;
use crate::auth::Form;
use crate::error;
use crate::session::DynamicsSession;
use crate::ws_trust::{self, SamlToken};
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use crm_http::{
    Answered, Failure, Method, Patience, Reply, Request, Stage, StatusCode, Trouble, send_again,
};
use crm_xml::Writer;

/// An operation to run.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Its name, such as `RetrieveMultiple`.
    pub name: &'static str,
    /// What stands in the message's body.
    pub body: String,
    /// It is for records.
    pub data: bool,
    /// It does no harm when it arrives twice.
    pub repeatable: bool,
}

impl Operation {
    /// An operation that only reads, and no records.
    pub(crate) fn reading(name: &'static str, body: String) -> Self {
        Self {
            name,
            body,
            data: false,
            repeatable: true,
        }
    }

    /// Marks it as fetching or sending records.
    pub(crate) fn for_data(self) -> Self {
        Self { data: true, ..self }
    }

    /// Marks it as doing something that must not be done twice.
    pub(crate) fn once(self) -> Self {
        Self {
            repeatable: false,
            ..self
        }
    }
}

/// Runs an operation; its reply is a message without a fault.
///
/// # Errors
/// What the sign-in, the network or the server says.
pub(crate) async fn call(
    session: &DynamicsSession,
    operation: &Operation,
    stats: &CallStats,
) -> Result<Reply> {
    Ok(exchange(session, operation, stats).await?.reply)
}

/// As [`call`], and tells whether the server may have done what was asked for.
pub(crate) async fn exchange(
    session: &DynamicsSession,
    operation: &Operation,
    stats: &CallStats,
) -> std::result::Result<Answered, Trouble> {
    let form = session.access(stats).await.map_err(unsent)?.form;
    let tokens = &session.soap().token;
    let sign_in = || ws_trust::sign_in(session, stats);
    let mut token = match form {
        Form::WsTrust => Some(tokens.get(sign_in).await.map_err(unsent)?),
        _ => None,
    };
    let mut patience = Patience::new(session.policy());
    let (mut renewed, mut done_before) = (false, false);
    loop {
        let attempt = || async {
            session.allotment().admit(stats)?;
            let request =
                request(session, operation, token.as_deref()).map_err(|error| Failure {
                    stage: Stage::CannotBeSent,
                    error,
                })?;
            let mut reply = match form {
                Form::Ntlm => session.windows().send(&request, stats).await?,
                _ => session.http().send(&request, None, stats).await?,
            };
            session.listen(&reply);
            // Faults come with statuses of failure, and are looked at by themselves (13.4).
            if is_message(&reply.body) {
                reply.status = StatusCode::OK;
            }
            Ok(reply)
        };
        let replied = send_again(session.policy(), operation.repeatable, stats, attempt).await;
        let replied = replied.map_err(|unanswered| Trouble {
            may_be_done: unanswered.may_be_done || done_before,
            ..unsent(unanswered.error)
        })?;
        let earlier = done_before || replied.done_before;
        let status = replied.reply.status;
        let told = |error, may_be_done| Trouble {
            error: replied.tell_tries(error),
            may_be_done: may_be_done || earlier,
            status: Some(status),
        };
        if !is_message(&replied.reply.body) {
            return Err(told(no_message(&replied.reply), replied.may_be_done()));
        }
        let fault = match open(&replied.reply.body) {
            Ok(Message::Answer(_)) => {
                return Ok(Answered {
                    done_before: earlier,
                    reply: replied.reply,
                });
            }
            Ok(Message::Fault(mut reader)) => fault::read(&mut reader),
            Err(error) => Err(error),
        };
        let fault = fault.map_err(|error| told(error, true))?;
        if let Some(stale) = &token
            && fault.is_expiry()
            && !renewed
        {
            renewed = true;
            done_before = earlier;
            let renewal = tokens.renew(stale, sign_in).await;
            token = Some(renewal.map_err(|error| Trouble {
                may_be_done: done_before,
                ..unsent(error)
            })?);
            continue;
        }
        if fault.is_passing(operation.repeatable) && patience.wait(fault.retry_after, stats).await {
            done_before = earlier;
            continue;
        }
        let may_be_done = fault.may_be_done();
        return Err(told(error_of(&fault, renewed), may_be_done));
    }
}

fn error_of(fault: &Fault, renewed: bool) -> Error {
    if !(fault.is_expiry() && renewed) {
        return fault.to_error();
    }
    Error::new(
        ErrorKind::LoginRefused,
        "the server does not take the token of AD FS",
    )
    .with_detail(if fault.text.is_empty() {
        fault.soap_code.clone()
    } else {
        fault.text.clone()
    })
    .with_hint("Check that the user is one of the organisation, and that the clocks of the server and of AD FS agree within five minutes.")
}

/// A reply that is no message: a page for people, or the words of something in front of the service.
fn no_message(reply: &Reply) -> Error {
    if !reply.status.is_success() {
        return error::from_reply(reply);
    }
    Error::new(
        ErrorKind::Undecodable,
        "the server answered with something else than a SOAP message",
    )
    .with_hint("Check the server option url; if the page is one to sign in at, check the server option auth.")
}

fn request(
    session: &DynamicsSession,
    operation: &Operation,
    token: Option<&SamlToken>,
) -> Result<Request> {
    let action = format!("{SERVICES}/IOrganizationService/{}", operation.name);
    let path = format!("{}{SERVICE}", session.root().path());
    let Some(token) = token else {
        // Windows accounts sign in by HTTP, and a message says nothing of it (13.1).
        let url = session.resolve(&format!("{path}/web"))?;
        let header = HeaderValue::from_str(&format!("\"{action}\""));
        let header = header.map_err(|_| unsayable())?;
        return Ok(Request::new(Method::POST, url)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("text/xml; charset=utf-8"),
            )
            .header(HeaderName::from_static("soapaction"), header)
            .body(plain_message(operation, &version(session))?)
            .for_data(operation.data));
    };
    let url = session.resolve(&path)?;
    let message = signed_message(&Signed {
        operation,
        action: &action,
        to: url.as_str(),
        version: &version(session),
        security: &ws_trust::security(token, session.presumed_now())?,
    })?;
    Ok(Request::new(Method::POST, url)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/soap+xml; charset=UTF-8"),
        )
        .body(message)
        .for_data(operation.data))
}

/// Without it newer types of attributes may be left out of answers (13.1).
fn version(session: &DynamicsSession) -> String {
    format!("{}.0.0", session.version())
}

fn plain_message(operation: &Operation, version: &str) -> Result<String> {
    let mut writer = Writer::new();
    writer.open("s:Envelope", &[("xmlns:s", SOAP_11)]);
    writer.open("s:Header", &[]);
    writer.leaf("SdkClientVersion", &[("xmlns", CONTRACTS)], version);
    writer.close();
    writer.open("s:Body", &[]).raw(&operation.body);
    writer.finish()
}

struct Signed<'a> {
    operation: &'a Operation,
    action: &'a str,
    to: &'a str,
    version: &'a str,
    security: &'a str,
}

fn signed_message(signed: &Signed<'_>) -> Result<String> {
    let mut writer = Writer::new();
    writer.open(
        "s:Envelope",
        &[("xmlns:a", ADDRESSING), ("xmlns:s", SOAP_12)],
    );
    writer.open("s:Header", &[]);
    writer.leaf("a:Action", &[("s:mustUnderstand", "1")], signed.action);
    ws_trust::addressed(&mut writer, signed.to);
    writer.leaf("SdkClientVersion", &[("xmlns", CONTRACTS)], signed.version);
    writer.raw(signed.security);
    writer.close();
    writer.open("s:Body", &[]).raw(&signed.operation.body);
    writer.finish()
}

fn unsayable() -> Error {
    Error::new(ErrorKind::RemoteFault, "an operation's name cannot be sent")
}

fn unsent(error: Error) -> Trouble {
    Trouble {
        error,
        may_be_done: false,
        status: None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
