//! The service: request to reply, nothing cleverer.
//!
//! HTTPS only, no redirect is followed, bodies are capped. Whether to send again is decided in `retry.rs`.

use crate::failure::{Failure, Outcome, Stage};
use crate::origin::{Bearer, host_of};
use crate::tls;
use bytes::Bytes;
use crm_core::{Account, CallStats, Error, ErrorKind, Result};
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, StatusCode};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use url::Url;

/// Replies larger than this many bytes, decompressed, are refused: no page of any CRM comes near it.
const LARGEST_REPLY: usize = 128 * 1024 * 1024;
/// A whole exchange may take as long as the slowest vendor works on one call (Salesforce page, section 10).
pub(crate) const LONGEST_EXCHANGE: Duration = Duration::from_secs(600);

pub(crate) const USER_AGENT: &str = concat!("crm_fdw/", env!("CARGO_PKG_VERSION"));

/// How to reach hosts, from the options every server has.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the reply, and for each further part of it.
    pub request_timeout: Duration,
    /// PEM file with additional certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Proxy address.
    pub proxy: Option<String>,
    /// Largest reply in bytes after decompression.
    pub largest_reply: usize,
}

impl HttpOptions {
    /// Reads `connect_timeout`, `request_timeout`, `ca_file` and `proxy`.
    pub fn from_account(account: &Account) -> Self {
        Self {
            connect_timeout: Duration::from_secs(account.integer("connect_timeout", 30)),
            request_timeout: Duration::from_secs(account.integer("request_timeout", 150)),
            ca_file: account.get("ca_file").map(PathBuf::from),
            proxy: account.get("proxy").map(str::to_string),
            largest_reply: LARGEST_REPLY,
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where to; https.
    pub url: Url,
    /// Its headers, without the token.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Bytes>,
    /// It fetches records, rather than signing in or reading metadata.
    pub data: bool,
}

impl Request {
    /// A request without headers or body, not for records.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            data: false,
        }
    }

    /// Adds a header that is not secret.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Marks it as fetching records.
    #[must_use]
    pub fn for_data(mut self, data: bool) -> Self {
        self.data = data;
        self
    }
}

/// One reply, of any status except a redirect.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Bytes,
}

impl Reply {
    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The host's clock when it replied, microseconds since the Unix epoch, where it tells.
    pub fn date(&self) -> Option<i64> {
        let at = httpdate::parse_http_date(self.header(DATE.as_str())?).ok()?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok()
    }
}

/// Sends requests over connections it keeps.
#[derive(Clone, Debug)]
pub struct HttpService {
    client: reqwest::Client,
    largest_reply: usize,
}

impl HttpService {
    /// A service; nothing is connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] for a `ca_file` or `proxy` that cannot be used.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(options.ca_file.as_deref())?)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .gzip(true)
            .user_agent(USER_AGENT)
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.request_timeout)
            .timeout(options.request_timeout.max(LONGEST_EXCHANGE))
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            // The address may hold a password, so neither it nor the parser's text is shown.
            client = client.proxy(reqwest::Proxy::all(proxy).map_err(|_| unusable_proxy())?);
        }
        Ok(Self {
            client: client.build().map_err(|_| unusable_proxy())?,
            largest_reply: options.largest_reply,
        })
    }

    /// Sends `request` once, with `token` if one is needed.
    ///
    /// # Errors
    /// [`Failure`] when there is no reply, when it redirects, or when it is too large.
    pub async fn send(
        &self,
        request: &Request,
        token: Option<&Bearer>,
        stats: &CallStats,
    ) -> Outcome {
        if request.url.scheme() != "https" {
            return Err(unsendable(without_tls(&request.url)));
        }
        let mut headers = request.headers.clone();
        if let Some(token) = token {
            // Callers resolve links first; this is the last door, and it does not depend on them.
            if !token.owns(&request.url) {
                return Err(unsendable(Error::new(
                    ErrorKind::Undecodable,
                    format!(
                        "refused to send a token to host \"{}\"",
                        host_of(&request.url)
                    ),
                )));
            }
            headers.insert(AUTHORIZATION, token.header().map_err(unsendable)?);
        }
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let failed = |error: reqwest::Error| Failure::from_client(&error, &request.url);
        let mut response = builder.send().await.map_err(|error| {
            if !error.is_connect() {
                stats.add_call(request.data);
            }
            failed(error)
        })?;
        stats.add_call(request.data);
        if let Some(error) = redirected(response.status(), response.headers(), &request.url) {
            return Err(Failure::at(Stage::Redirected, error));
        }
        let mut body = Vec::with_capacity(self.expected_length(&response));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.largest_reply {
                return Err(Failure::at(
                    Stage::Unusable,
                    too_large(self.largest_reply, &request.url),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        stats.add_bytes(body.len() as u64);
        Ok(Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: body.into(),
        })
    }

    fn expected_length(&self, response: &reqwest::Response) -> usize {
        if response.headers().contains_key(CONTENT_ENCODING) {
            return 0;
        }
        let announced = response.content_length().unwrap_or(0);
        // What is announced need not come: at most a page's usual size is set aside in advance.
        usize::try_from(announced)
            .unwrap_or(usize::MAX)
            .min(self.largest_reply)
            .min(8 * 1024 * 1024)
    }
}

pub(crate) fn too_large(largest: usize, url: &Url) -> Error {
    Error::new(
        ErrorKind::Undecodable,
        format!(
            "the reply of \"{}\" is larger than {} MB",
            host_of(url),
            largest / (1024 * 1024)
        ),
    )
    .with_hint("Ask for fewer columns, or lower the option fetch_size.")
}

pub(crate) fn without_tls(url: &Url) -> Error {
    Error::new(
        ErrorKind::CannotConnect,
        format!("refused to reach \"{}\" without TLS", host_of(url)),
    )
}

pub(crate) fn unsendable(error: Error) -> Failure {
    Failure::at(Stage::CannotBeSent, error)
}

/// 300 and 304 are answers in their own right; the others lead elsewhere.
pub(crate) fn redirected(status: StatusCode, headers: &HeaderMap, url: &Url) -> Option<Error> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok());
    let error = Error::new(
        ErrorKind::Undecodable,
        format!("host \"{}\" answered with a redirect", host_of(url)),
    )
    .with_code(status.as_u16().to_string());
    Some(match target {
        Some(target) => error
            .with_detail(format!("It leads to \"{}\".", host_of(&target)))
            .with_hint("Redirects are not followed. Check the server option url."),
        None => error,
    })
}

pub(crate) fn unusable_proxy() -> Error {
    Error::new(
        ErrorKind::OptionValue,
        "option \"proxy\" is not an address of a proxy",
    )
}
