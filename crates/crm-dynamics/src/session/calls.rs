//! Calls of the Web API: signed in, sent again where that does no harm, judged.

use super::{Access, Deployment, DynamicsSession, links, local_clock};
use crate::auth::{self, Form, SignIn};
use crate::batch::{self, Part};
use crate::error;
use crm_core::{CallStats, Error, Result};
use crm_http::header::{ACCEPT, HeaderName, HeaderValue, IF_NONE_MATCH};
use crm_http::{
    Answered, Call, Fresh, Method, Outcome, Reply, Request, StatusCode, Trouble, Url, send_again,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl DynamicsSession {
    /// Sends a call; signs in where needed, and once more when the token is no longer taken (2.2).
    ///
    /// # Errors
    /// What the sign-in, the network or the server says.
    pub(crate) async fn call(&self, call: &Call, stats: &CallStats) -> Result<Reply> {
        Ok(self.exchange(call, stats).await?.reply)
    }

    /// As [`Self::call`], and tells whether the server may have done what was asked for.
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let access = self.access(stats).await.map_err(unsent)?;
        self.exchange_by(access, call, stats).await
    }

    pub(super) async fn exchange_by(
        &self,
        access: Access,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let request = self.request(call).map_err(unsent)?;
        if access.form == Form::Ntlm {
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.windows.send(&request, stats).await
            };
            let (answered, _) = self.attempt(call, stats, false, attempt).await?;
            return answered.map_err(|(trouble, _)| trouble);
        }
        let mut token = self.token(access.form, stats).await.map_err(unsent)?;
        let mut renewed = false;
        let mut done_before = false;
        loop {
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.http.send(&request, Some(&token.bearer), stats).await
            };
            let (answered, may_be_done) = self.attempt(call, stats, done_before, attempt).await?;
            match answered {
                Ok(answered) => return Ok(answered),
                Err((_, StatusCode::UNAUTHORIZED)) if !renewed => {
                    renewed = true;
                    done_before |= may_be_done;
                    let renewal = self
                        .token
                        .renew(&token, || self.sign_in(access.form, stats))
                        .await;
                    token = renewal.map_err(|error| Trouble {
                        may_be_done: done_before,
                        ..unsent(error)
                    })?;
                }
                Err((trouble, _)) => {
                    return Err(Trouble {
                        error: trouble.error.without(token.bearer.secret()),
                        ..trouble
                    });
                }
            }
        }
    }

    /// Sends by `attempt` and judges the reply. The outer failure is that there is none; the truth value says whether
    /// an earlier try may have done what was asked for.
    #[allow(clippy::type_complexity)]
    async fn attempt<F, Fut>(
        &self,
        call: &Call,
        stats: &CallStats,
        done_before: bool,
        attempt: F,
    ) -> std::result::Result<(std::result::Result<Answered, (Trouble, StatusCode)>, bool), Trouble>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Outcome>,
    {
        let replied = send_again(self.policy, call.repeatable, stats, attempt).await;
        let replied = replied.map_err(|unanswered| Trouble {
            error: unanswered.error,
            may_be_done: unanswered.may_be_done || done_before,
            status: None,
        })?;
        self.listen(&replied.reply);
        let status = replied.reply.status;
        let earlier = replied.done_before;
        // A batch is answered in parts even where one of them failed and gave the whole its status (7.4).
        let is_in_parts = batch::is_multipart(replied.reply.header("content-type"));
        if status.is_success() || status == StatusCode::NOT_MODIFIED || is_in_parts {
            let answered = Answered {
                done_before: done_before || earlier,
                reply: replied.reply,
            };
            return Ok((Ok(answered), earlier));
        }
        let trouble = Trouble {
            may_be_done: replied.may_be_done() || done_before,
            error: replied.tell_tries(error::from_reply(&replied.reply)),
            status: Some(status),
        };
        Ok((Err((trouble, status)), earlier))
    }

    fn request(&self, call: &Call) -> Result<Request> {
        let url = self.resolve(&call.link)?;
        let fixed = |value| HeaderValue::from_static(value);
        let mut request = Request::new(call.method.clone(), url)
            .header(ACCEPT, fixed("application/json"))
            .header(HeaderName::from_static("odata-maxversion"), fixed("4.0"))
            .header(HeaderName::from_static("odata-version"), fixed("4.0"))
            // Keeps caches on the way from answering (section 1).
            .header(IF_NONE_MATCH, fixed("null"))
            .for_data(call.data);
        for (name, value) in &call.headers {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        Ok(request)
    }

    /// The address of a path, or of a link that a reply gave, always on the own host.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it leads to another host; on premise, where a proxy may hide an inner name, its
    /// path is used on the own host instead.
    pub(crate) fn resolve(&self, link: &str) -> Result<Url> {
        links::resolve(&self.root, link, self.deployment == Deployment::OnPremise)
    }

    /// What every reply tells besides its answer: the server's clock.
    pub(crate) fn listen(&self, reply: &Reply) {
        if let Some(date) = reply.date() {
            self.clock_lead
                .store(date - local_clock(), Ordering::Relaxed);
        }
    }

    /// The reply to GET requests sent together in one call, in parts; each part's success or failure is its own.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn call_together(
        &self,
        parts: &[Part],
        data: bool,
        stats: &CallStats,
    ) -> Result<Reply> {
        let call = Call::new(Method::POST, self.path("$batch"))
            .body(batch::CONTENT_TYPE, batch::body(parts))
            .header(batch::PREFER, batch::GO_ON);
        self.call(&Call { data, ..call }, stats).await
    }

    /// The token in force; signs in where there is none.
    ///
    /// # Errors
    /// What the sign-in says.
    pub(crate) async fn token(&self, form: Form, stats: &CallStats) -> Result<Arc<SignIn>> {
        self.token.get(|| self.sign_in(form, stats)).await
    }

    async fn sign_in(&self, form: Form, stats: &CallStats) -> Result<Fresh<SignIn>> {
        auth::sign_in(self, form, stats).await
    }
}

fn unsent(error: Error) -> Trouble {
    Trouble {
        error,
        may_be_done: false,
        status: None,
    }
}
