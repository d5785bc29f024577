//! A token kept for a session: one sign-in at a time, and none after a refusal (spec A-4).

use crm_core::{Error, ErrorKind, Result};
use std::future::Future;
use std::sync::{Arc, Mutex as BlockingMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token just received.
#[derive(Debug)]
pub struct Fresh<T> {
    /// The token.
    pub token: T,
    /// How long it may be used from now on, where the vendor says.
    pub life: Option<Duration>,
}

/// The current token of one account.
#[derive(Debug)]
pub struct TokenCache<T> {
    // Held while signing in, so that others wait for that sign-in instead of making their own.
    state: Mutex<State<T>>,
    // What a caller that must not wait may look at.
    current: BlockingMutex<Option<Arc<T>>>,
}

#[derive(Debug)]
enum State<T> {
    Empty,
    Held {
        token: Arc<T>,
        ends: Option<Instant>,
    },
    /// Sending the same credentials again would bring the account closer to being locked.
    Refused(Error),
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::Empty),
            current: BlockingMutex::new(None),
        }
    }
}

impl<T> TokenCache<T> {
    /// The token, signing in by `sign_in` if there is none or it has ended.
    ///
    /// # Errors
    /// What `sign_in` says; a refusal is remembered and given again without a new try.
    pub async fn get<Fut>(&self, sign_in: impl FnOnce() -> Fut) -> Result<Arc<T>>
    where
        Fut: Future<Output = Result<Fresh<T>>>,
    {
        self.get_unless(None, sign_in).await
    }

    /// A newer token than `stale`, which the vendor no longer takes. Of many callers with the same one, one signs in.
    ///
    /// # Errors
    /// As [`TokenCache::get`].
    pub async fn renew<Fut>(&self, stale: &Arc<T>, sign_in: impl FnOnce() -> Fut) -> Result<Arc<T>>
    where
        Fut: Future<Output = Result<Fresh<T>>>,
    {
        self.get_unless(Some(stale), sign_in).await
    }

    /// The token last received; nothing is sent or waited for.
    pub fn peek(&self) -> Option<Arc<T>> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives the token up, so that the next caller signs in anew; a refusal stays remembered.
    pub async fn forget(&self) -> Option<Arc<T>> {
        let mut state = self.state.lock().await;
        if let State::Held { token, .. } = &*state {
            let token = Arc::clone(token);
            *state = State::Empty;
            self.show(None);
            return Some(token);
        }
        None
    }

    async fn get_unless<Fut>(
        &self,
        stale: Option<&Arc<T>>,
        sign_in: impl FnOnce() -> Fut,
    ) -> Result<Arc<T>>
    where
        Fut: Future<Output = Result<Fresh<T>>>,
    {
        let mut state = self.state.lock().await;
        match &*state {
            State::Held { token, ends } => {
                let has_ended = ends.is_some_and(|ends| ends <= Instant::now());
                let is_stale = stale.is_some_and(|stale| Arc::ptr_eq(stale, token));
                if !has_ended && !is_stale {
                    return Ok(Arc::clone(token));
                }
            }
            State::Refused(error) => return Err(error.clone()),
            State::Empty => {}
        }
        *state = State::Empty;
        match sign_in().await {
            Ok(fresh) => {
                let token = Arc::new(fresh.token);
                *state = State::Held {
                    token: Arc::clone(&token),
                    ends: fresh.life.and_then(|life| Instant::now().checked_add(life)),
                };
                self.show(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(error) => {
                if error.kind() == ErrorKind::LoginRefused {
                    *state = State::Refused(error.clone());
                }
                self.show(None);
                Err(error)
            }
        }
    }

    fn show(&self, token: Option<Arc<T>>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Host {
        n_sign_ins: AtomicUsize,
        life: Option<Duration>,
    }

    impl Host {
        async fn sign_in(&self) -> Result<Fresh<usize>> {
            // Others get their turn while this one waits.
            tokio::task::yield_now().await;
            Ok(Fresh {
                token: self.n_sign_ins.fetch_add(1, Ordering::Relaxed) + 1,
                life: self.life,
            })
        }
    }

    #[tokio::test]
    async fn many_callers_share_one_sign_in() {
        let (cache, host) = (TokenCache::default(), Host::default());
        let get = || cache.get(|| host.sign_in());
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert_eq!((*a.unwrap(), *b.unwrap(), *c.unwrap()), (1, 1, 1));
        let stale = cache.peek().unwrap();
        let renew = || cache.renew(&stale, || host.sign_in());
        let (a, b) = tokio::join!(renew(), renew());
        assert_eq!((*a.unwrap(), *b.unwrap()), (2, 2));
        assert_eq!(host.n_sign_ins.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_token_that_is_given_up_is_not_shown_again() {
        let (cache, host) = (TokenCache::default(), Host::default());
        assert!(cache.forget().await.is_none());
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 1);
        assert_eq!(cache.forget().await.as_deref(), Some(&1));
        assert!(cache.peek().is_none() && cache.forget().await.is_none());
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_when_it_ends() {
        let life = Some(Duration::from_secs(60));
        let (cache, host) = (
            TokenCache::default(),
            Host {
                life,
                ..Host::default()
            },
        );
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 1);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_a_lost_connection_is_not() {
        let (cache, tries) = (TokenCache::<usize>::default(), AtomicUsize::new(0));
        let fail = |kind| {
            let tries = &tries;
            move || async move {
                tries.fetch_add(1, Ordering::Relaxed);
                Err(Error::new(kind, "no").with_code("invalid_grant"))
            }
        };
        for _ in 0..2 {
            let error = cache
                .get(fail(ErrorKind::ConnectionLost))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        }
        for _ in 0..3 {
            let error = cache.get(fail(ErrorKind::LoginRefused)).await.unwrap_err();
            assert_eq!(error.code(), Some("invalid_grant"));
        }
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        assert!(cache.peek().is_none());
    }

    #[tokio::test]
    async fn a_cancelled_sign_in_leaves_no_trace() {
        let (cache, host) = (TokenCache::default(), Host::default());
        tokio::select! {
            biased;
            _ = cache.get(std::future::pending) => unreachable!("it never signs in"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(*cache.get(|| host.sign_in()).await.unwrap(), 1);
    }
}
