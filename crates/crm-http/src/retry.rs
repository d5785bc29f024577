//! Who may be sent again, and when (spec E-5).
//!
//! Not sent: yes. Throttled: yes, after the wait the vendor names. Lost or failed there: only what does no harm twice.
//! Whoever writes learns in the end whether the host may have done what it was asked for.

use crate::failure::{Failure, Outcome, Stage};
use crate::service::Reply;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use crm_core::{Account, CallStats, Error};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use std::future::Future;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Bounds of sending again.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// How often one request is sent again at most.
    pub max_retries: usize,
    /// When this much time has passed since the first try, it is not sent again.
    pub retry_timeout: Duration,
}

impl RetryPolicy {
    /// Reads `max_retries` and `retry_timeout`.
    pub fn from_account(account: &Account) -> Self {
        let max_retries = account.integer("max_retries", 5);
        Self {
            max_retries: usize::try_from(max_retries).unwrap_or(usize::MAX),
            retry_timeout: Duration::from_secs(account.integer("retry_timeout", 120)),
        }
    }
}

/// The waits before something is tried again: growing, with jitter, within a policy.
#[derive(Debug)]
pub struct Patience {
    began: Instant,
    longest: Duration,
    waits: ExponentialBackoff,
}

impl Patience {
    /// Waits from now on.
    pub fn new(policy: RetryPolicy) -> Self {
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(30))
            .with_max_times(policy.max_retries);
        Self {
            began: Instant::now(),
            longest: policy.retry_timeout,
            waits: waits.build(),
        }
    }

    /// Waits for the next try, at least as long as `asked`. False when there is none: the policy's count or time is
    /// used up, and nothing was waited.
    pub async fn wait(&mut self, asked: Option<Duration>, stats: &CallStats) -> bool {
        let wait = self.waits.next().map(|own| own.max(asked.unwrap_or(own)));
        let in_time = |wait: &Duration| self.began.elapsed() + *wait <= self.longest;
        let Some(wait) = wait.filter(in_time) else {
            return false;
        };
        stats.add_retry(wait);
        tokio::time::sleep(wait).await;
        true
    }
}

/// Waits for work that the vendor does by itself.
pub async fn pause_for(wait: Duration, stats: &CallStats) {
    stats.add_wait(wait);
    tokio::time::sleep(wait).await;
}

/// A reply and how many tries it took.
#[derive(Clone, Debug)]
pub struct Replied {
    /// The last reply, whatever its status.
    pub reply: Reply,
    /// How often the request was sent.
    pub tries: usize,
    /// The host may have done what was asked for at an earlier try, whose reply was lost or a failure.
    pub done_before: bool,
}

impl Replied {
    /// Says in an error's message how many tries were made, where there was more than one.
    pub fn tell_tries(&self, error: Error) -> Error {
        after_tries(error, self.tries)
    }

    /// The host may have done what was asked for.
    pub fn may_be_done(&self) -> bool {
        self.done_before || self.reply.status.is_success() || self.reply.may_be_done()
    }
}

/// No try got a reply.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// What the user is told.
    pub error: Error,
    /// The host may have done what was asked for, at any of the tries.
    pub may_be_done: bool,
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error
    }
}

/// Sends by `attempt` until there is a reply that sending again cannot better, within `policy`.
/// `repeatable` means that the request does no harm when it arrives twice.
///
/// # Errors
/// The last failure, when no try got a reply.
pub async fn send_again<F, Fut>(
    policy: RetryPolicy,
    repeatable: bool,
    stats: &CallStats,
    mut attempt: F,
) -> std::result::Result<Replied, Unanswered>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Outcome>,
{
    let mut patience = Patience::new(policy);
    let mut tries = 0;
    let mut done_before = false;
    loop {
        let outcome = attempt().await;
        tries += 1;
        let verdict = match &outcome {
            Ok(reply) => judge_reply(reply, repeatable),
            Err(failure) => judge_failure(failure, repeatable),
        };
        let again = match verdict {
            Verdict::Final => false,
            Verdict::Again => patience.wait(None, stats).await,
            Verdict::AgainAfter(asked) => patience.wait(Some(asked), stats).await,
        };
        if !again {
            return match outcome {
                Ok(reply) => Ok(Replied {
                    reply,
                    tries,
                    done_before,
                }),
                Err(failure) => Err(Unanswered {
                    may_be_done: done_before || failure.stage.may_have_arrived(),
                    error: after_tries(failure.error, tries),
                }),
            };
        }
        done_before |= match &outcome {
            Ok(reply) => reply.may_be_done(),
            Err(failure) => failure.stage.may_have_arrived(),
        };
    }
}

enum Verdict {
    Final,
    Again,
    AgainAfter(Duration),
}

fn judge_failure(failure: &Failure, repeatable: bool) -> Verdict {
    match failure.stage {
        Stage::NotSent => Verdict::Again,
        Stage::Lost if repeatable => Verdict::Again,
        Stage::Lost | Stage::CannotBeSent | Stage::Redirected | Stage::Unusable => Verdict::Final,
    }
}

fn judge_reply(reply: &Reply, repeatable: bool) -> Verdict {
    let wait = retry_after(reply, SystemTime::now());
    let again = match reply.status.as_u16() {
        429 => true,
        // What the host does not do at all it will not do the next time.
        501 | 505 => false,
        406 | 420 | 500..=599 => repeatable || !reply.may_be_done(),
        _ => false,
    };
    match (again, wait) {
        (false, _) => Verdict::Final,
        (true, None) => Verdict::Again,
        (true, Some(wait)) => Verdict::AgainAfter(wait),
    }
}

/// `Retry-After` in seconds or as a date; nothing when it is absent or is neither.
fn retry_after(reply: &Reply, now: SystemTime) -> Option<Duration> {
    let text = reply.header(RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

fn after_tries(error: Error, tries: usize) -> Error {
    if tries < 2 {
        return error;
    }
    let mut told = Error::new(
        error.kind(),
        format!("{} after {tries} tries", error.message()),
    );
    if let Some(detail) = error.detail() {
        told = told.with_detail(detail);
    }
    if let Some(hint) = error.hint() {
        told = told.with_hint(hint);
    }
    if let Some(code) = error.code() {
        told = told.with_code(code);
    }
    told
}

/// Throttling statuses, which tell nothing about the request itself.
impl Reply {
    /// The status leaves open whether the host did what was asked for: it, or something in front of it, failed on the
    /// way. A 503 that says when to come back was turned away at the door.
    pub fn may_be_done(&self) -> bool {
        match self.status.as_u16() {
            503 => !self.headers.contains_key(RETRY_AFTER),
            // 406 and 420 come from the edge of Salesforce while it sets things up (Salesforce page 8.5).
            406 | 408 | 420 | 500..=599 => true,
            _ => false,
        }
    }

    /// The vendor asked to slow down or is closed for the moment.
    pub fn is_throttled(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::ErrorKind;
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::collections::VecDeque;
    use std::sync::Mutex;

    fn status(code: u16) -> Outcome {
        Ok(Reply {
            status: StatusCode::from_u16(code).unwrap(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        })
    }

    fn after(code: u16, seconds: &'static str) -> Outcome {
        let mut reply = status(code)?;
        reply
            .headers
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        Ok(reply)
    }

    fn failure(stage: Stage) -> Outcome {
        Err(Failure {
            stage,
            error: Error::new(ErrorKind::ConnectionLost, "the connection broke")
                .with_detail("reset"),
        })
    }

    /// Runs a script of outcomes; gives the result, the tries made and the time waited.
    async fn run(
        policy: RetryPolicy,
        repeatable: bool,
        script: Vec<Outcome>,
    ) -> (std::result::Result<Replied, Unanswered>, usize, Duration) {
        let total = script.len();
        let script = Mutex::new(VecDeque::from(script));
        let stats = CallStats::default();
        let result = send_again(policy, repeatable, &stats, || async {
            script
                .lock()
                .unwrap()
                .pop_front()
                .expect("no more tries than the script has")
        })
        .await;
        let left = script.lock().unwrap().len();
        assert_eq!(stats.retries() as usize + 1, total - left);
        (result, total - left, stats.waited())
    }

    const USUAL: RetryPolicy = RetryPolicy {
        max_retries: 3,
        retry_timeout: Duration::from_secs(120),
    };

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_again() {
        for (first, once_only, repeatable) in [
            (status(200), 1, 1),
            (status(304), 1, 1),
            (status(400), 1, 1),
            (status(401), 1, 1),
            (status(403), 1, 1),
            (status(429), 2, 2),
            (status(503), 1, 2),
            (after(503, "0"), 2, 2),
            (status(500), 1, 2),
            (status(501), 1, 1),
            (status(502), 1, 2),
            (status(420), 1, 2),
            (status(406), 1, 2),
            (failure(Stage::NotSent), 2, 2),
            (failure(Stage::CannotBeSent), 1, 1),
            (failure(Stage::Lost), 1, 2),
            (failure(Stage::Redirected), 1, 1),
            (failure(Stage::Unusable), 1, 1),
        ] {
            let script = || vec![first.clone(), status(200)];
            let (_, tries, _) = run(USUAL, false, script()).await;
            assert_eq!(tries, once_only, "{first:?}");
            let (_, tries, _) = run(USUAL, true, script()).await;
            assert_eq!(tries, repeatable, "{first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_is_bounded_and_told() {
        let script = (0..9).map(|_| failure(Stage::Lost)).collect();
        let (result, tries, _) = run(USUAL, true, script).await;
        assert_eq!(tries, 4);
        let error = result.unwrap_err().error;
        assert_eq!(error.message(), "the connection broke after 4 tries");
        assert_eq!(error.detail(), Some("reset"));
        let never = RetryPolicy {
            max_retries: 0,
            ..USUAL
        };
        let (_, tries, waited) = run(never, true, vec![status(503), status(200)]).await;
        assert_eq!((tries, waited), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_wait_is_honoured_within_the_time() {
        let began = Instant::now();
        let (result, tries, waited) = run(USUAL, false, vec![after(429, "7"), status(200)]).await;
        assert_eq!(result.unwrap().reply.status, StatusCode::OK);
        assert_eq!(tries, 2);
        assert_eq!(waited, Duration::from_secs(7));
        assert!(began.elapsed() >= Duration::from_secs(7));
        // Longer than the user wants to wait: the refusal is given at once.
        let (result, tries, waited) = run(USUAL, false, vec![after(429, "121"), status(200)]).await;
        assert_eq!(result.unwrap().reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!((tries, waited), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_whether_the_host_may_have_done_it() {
        for (script, expected) in [
            (vec![status(200)], true),
            (vec![status(400)], false),
            (vec![status(500)], true),
            (vec![status(408)], true),
            (vec![failure(Stage::Lost)], true),
            (vec![failure(Stage::Unusable)], true),
            (vec![failure(Stage::CannotBeSent)], false),
            (vec![failure(Stage::Redirected)], false),
            (vec![after(503, "0"), status(400)], false),
            (vec![after(429, "0"), failure(Stage::CannotBeSent)], false),
            // What came later does not undo what may have come first.
            (vec![failure(Stage::Lost), status(400)], true),
            (vec![status(502), failure(Stage::CannotBeSent)], true),
            (vec![failure(Stage::NotSent), status(403)], false),
        ] {
            let shown = format!("{script:?}");
            let policy = RetryPolicy {
                max_retries: script.len() - 1,
                ..USUAL
            };
            let may_be_done = match run(policy, true, script).await.0 {
                Ok(replied) => replied.may_be_done(),
                Err(unanswered) => unanswered.may_be_done,
            };
            assert_eq!(may_be_done, expected, "{shown}");
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, expected) in [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let reply = after(503, text).unwrap();
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&reply, now), expected, "{text}");
        }
    }
}
