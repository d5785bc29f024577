//! HTTPS for the connectors: a service that sends one request, and what stands around it.
//!
//! Nothing here knows a CRM or PostgreSQL. Everything runs on the caller's runtime and ends when its future is dropped.
//! Read `service.rs` first, then `retry.rs` and `token.rs`.

mod call;
mod failure;
mod followed;
mod limit;
mod origin;
mod pinned;
mod retry;
mod service;
#[cfg(feature = "testkit")]
pub mod testkit;
mod tls;
mod token;

pub use bytes::Bytes;
pub use call::{Answered, Call, Trouble};
pub use failure::{Failure, Outcome, Stage};
pub use followed::Followed;
pub use limit::Allotment;
pub use origin::Bearer;
pub use pinned::{Pinned, PinnedService};
pub use reqwest::{Method, StatusCode, header};
pub use retry::{Patience, Replied, RetryPolicy, Unanswered, pause_for, send_again};
pub use service::{HttpOptions, HttpService, Reply, Request};
pub use token::{Fresh, TokenCache};
pub use url::Url;
