//! What an on-premise server offers (Dynamics page, section 0): asked once in a session, without signing in.

use crate::auth::{Form, challenge_of};
use crate::session::{Access, DynamicsSession, Transport};
use crate::soap::policy;
use crate::{error, ntlm};
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use crm_http::{Bytes, Method, Reply, Request, Stage, StatusCode, send_again};

/// Asks the server what it offers.
///
/// # Errors
/// When it cannot be reached or offers nothing that is known here.
pub(crate) async fn access(session: &DynamicsSession, stats: &CallStats) -> Result<Access> {
    let web_api = web_api(session, stats).await?;
    let access = |transport, form| Ok(Access { transport, form });
    if let Some(form) = offered(&web_api, session.account().has("client_id")) {
        return access(Transport::OData, form);
    }
    if !is_elsewhere(&web_api) {
        return Err(error::from_reply(&web_api));
    }
    let policy = policy::ask(session, stats).await?;
    match policy.authentication.as_deref() {
        Some("ActiveDirectory") => access(Transport::Soap, Form::Ntlm),
        Some("Federation") => access(Transport::Soap, Form::WsTrust),
        Some("OnlineFederation") => Err(Error::new(
            ErrorKind::OptionValue,
            "the server is one of the vendor's own",
        )
        .with_hint("Set the server option deployment to web_api or office_365.")),
        _ => Err(Error::new(
            ErrorKind::OptionMissing,
            "the server does not say how to sign in",
        )
        .with_hint(
            "Check the server option url, or set the server option auth to ntlm, adfs or ws_trust.",
        )),
    }
}

/// The Web API's word to somebody unknown. A redirect is one as well: it leads to where people sign in.
async fn web_api(session: &DynamicsSession, stats: &CallStats) -> Result<Reply> {
    let url = session.resolve(&format!("{}api/data/", session.root().path()))?;
    let request =
        Request::new(Method::GET, url).header(ACCEPT, HeaderValue::from_static("application/json"));
    let attempt = || async {
        match session.http().send(&request, None, stats).await {
            Err(failure) if failure.stage == Stage::Redirected => Ok(Reply {
                status: StatusCode::FOUND,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            }),
            outcome => outcome,
        }
    };
    let reply = send_again(session.policy(), true, stats, attempt)
        .await?
        .reply;
    session.listen(&reply);
    Ok(reply)
}

/// The way to sign in that a reply offers for the Web API. A token needs an application; without one, user and password
/// alone may do elsewhere.
fn offered(reply: &Reply, has_application: bool) -> Option<Form> {
    if reply.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    if has_application && challenge_of(reply).is_some() {
        return Some(Form::Adfs);
    }
    let takes_windows = ntlm::offers(reply, "NTLM") || ntlm::offers(reply, "Negotiate");
    takes_windows.then_some(Form::Ntlm)
}

/// There is no Web API for this account here: none at all, none for tokens without an application, or only a page to
/// sign in at.
fn is_elsewhere(reply: &Reply) -> bool {
    let is_page = reply
        .header(CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("text/html"));
    match reply.status {
        StatusCode::NOT_FOUND | StatusCode::FOUND => true,
        StatusCode::UNAUTHORIZED => challenge_of(reply).is_some(),
        status => status.is_success() && is_page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_http::header::WWW_AUTHENTICATE;

    fn reply(status: u16, challenges: &[&'static str], kind: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::new(),
        }
    }

    #[test]
    fn what_servers_offer() {
        const BEARER: &str = "Bearer authorization_uri=https://sts.example/adfs/oauth2/authorize, resource_id=https://crm.example/";
        for (status, challenges, kind, with_application, without, elsewhere) in [
            (
                401,
                &["Negotiate", "NTLM"][..],
                "text/html",
                Some(Form::Ntlm),
                Some(Form::Ntlm),
                false,
            ),
            (
                401,
                &["Negotiate"],
                "text/html",
                Some(Form::Ntlm),
                Some(Form::Ntlm),
                false,
            ),
            (
                401,
                &[BEARER],
                "application/json",
                Some(Form::Adfs),
                None,
                true,
            ),
            (
                401,
                &["Negotiate", BEARER],
                "",
                Some(Form::Adfs),
                Some(Form::Ntlm),
                true,
            ),
            (401, &["Basic realm=x"], "", None, None, false),
            (302, &[], "", None, None, true),
            (404, &[], "text/html", None, None, true),
            (200, &[], "text/html; charset=utf-8", None, None, true),
            (200, &[], "application/json", None, None, false),
            (503, &[], "text/html", None, None, false),
        ] {
            let reply = reply(status, challenges, kind);
            assert_eq!(offered(&reply, true), with_application, "{challenges:?}");
            assert_eq!(offered(&reply, false), without, "{challenges:?}");
            assert_eq!(is_elsewhere(&reply), elsewhere, "{status} {challenges:?}");
        }
    }
}
