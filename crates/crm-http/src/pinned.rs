//! Single connections for sign-ins that hold for a connection instead of a request.
//!
//! A client with a pool may take any connection for any request; here the caller holds the one it signed in on, and
//! can give it up. Same rules as in `service.rs`: HTTPS only, no redirect is followed, bodies are capped.

use crate::failure::{Failure, Outcome, Stage};
use crate::service::{
    HttpOptions, LONGEST_EXCHANGE, Reply, Request, USER_AGENT, redirected, too_large, unsendable,
    unusable_proxy, without_tls,
};
use crate::tls;
use bytes::Bytes;
use crm_core::{CallStats, Error, ErrorKind, Result};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};
use rustls::pki_types::ServerName;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

/// Makes connections that their users keep.
#[derive(Clone)]
pub struct PinnedService {
    connector: TlsConnector,
    connect_timeout: Duration,
    request_timeout: Duration,
    largest_reply: usize,
    proxy: Option<Proxy>,
}

#[derive(Clone)]
struct Proxy {
    address: hyper::Uri,
    authorization: Option<HeaderValue>,
}

/// One connection to one host.
pub struct Pinned {
    sender: SendRequest<Full<Bytes>>,
    origin: Url,
    certificate: Option<Vec<u8>>,
    request_timeout: Duration,
    largest_reply: usize,
}

impl PinnedService {
    /// A service; nothing is connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] for a `ca_file` or `proxy` that cannot be used.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        Ok(Self {
            connector: TlsConnector::from(Arc::new(tls::client_config(
                options.ca_file.as_deref(),
            )?)),
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            largest_reply: options.largest_reply,
            proxy: options.proxy.as_deref().map(Proxy::parse).transpose()?,
        })
    }

    /// A connection to the host of `url`.
    ///
    /// # Errors
    /// [`Failure`] when there is none; nothing was sent.
    pub async fn connect(&self, url: &Url) -> std::result::Result<Pinned, Failure> {
        if url.scheme() != "https" {
            return Err(unsendable(without_tls(url)));
        }
        let failed = |error: Box<dyn StdError + Send + Sync>| {
            Failure::unreachable(&Unconnected(error), false, url)
        };
        let connecting = async {
            let stream = self.reach(url).await.map_err(failed)?;
            let name = url
                .host_str()
                .and_then(|host| ServerName::try_from(unbracketed(host).to_owned()).ok())
                .ok_or_else(|| failed("the host name is not one".into()))?;
            let stream = self
                .connector
                .connect(name, stream)
                .await
                .map_err(|error| failed(error.into()))?;
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.to_vec());
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| failed(error.into()))?;
            // Ends with the sender. How it ends is told to whoever waits for a reply.
            tokio::spawn(async move { drop(connection.await) });
            Ok(Pinned {
                sender,
                origin: url.clone(),
                certificate,
                request_timeout: self.request_timeout,
                largest_reply: self.largest_reply,
            })
        };
        match timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected,
            Err(elapsed) => Err(Failure::unreachable(&elapsed, true, url)),
        }
    }

    async fn reach(
        &self,
        url: &Url,
    ) -> std::result::Result<TcpStream, Box<dyn StdError + Send + Sync>> {
        let address: hyper::Uri = url.as_str().parse()?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let stream = match &self.proxy {
            None => tcp.call(address).await?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.address.clone(), tcp);
                if let Some(authorization) = &proxy.authorization {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                tunnel.call(address).await?
            }
        };
        Ok(stream.into_inner())
    }
}

impl Proxy {
    /// The address may hold a password, so it is not shown.
    fn parse(address: &str) -> Result<Self> {
        let any_host = hyper::Uri::from_static("https://host.invalid");
        let found = Matcher::builder()
            .all(address)
            .build()
            .intercept(&any_host)
            .ok_or_else(unusable_proxy)?;
        if found.uri().scheme_str() != Some("http") {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "a sign-in that holds for a connection goes through http:// proxies only",
            ));
        }
        Ok(Self {
            address: found.uri().clone(),
            authorization: found.basic_auth().cloned(),
        })
    }
}

impl Pinned {
    /// Another request can be sent.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// The certificate that the host showed, in DER.
    pub fn server_certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Sends `request` once over this connection, with this `Authorization` if one is needed. When this fails, or is
    /// not waited for, the connection is of no more use.
    ///
    /// # Errors
    /// [`Failure`] when there is no reply, when it redirects, or when it is too large.
    pub async fn send(
        &mut self,
        request: &Request,
        authorization: Option<&HeaderValue>,
        stats: &CallStats,
    ) -> Outcome {
        let url = &request.url;
        if url.origin() != self.origin.origin() {
            return Err(unsendable(Error::new(
                ErrorKind::Undecodable,
                "refused to send a request over another host's connection",
            )));
        }
        let message = message(request, authorization).map_err(unsendable)?;
        match timeout(LONGEST_EXCHANGE, self.exchange(message, request, stats)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::lost(None, url)),
        }
    }

    async fn exchange(
        &mut self,
        message: hyper::Request<Full<Bytes>>,
        request: &Request,
        stats: &CallStats,
    ) -> Outcome {
        let url = &request.url;
        let not_sent = |error: &hyper::Error| Failure {
            stage: Stage::NotSent,
            ..Failure::lost(Some(error), url)
        };
        self.sender
            .ready()
            .await
            .map_err(|error| not_sent(&error))?;
        let answering = self.sender.try_send_request(message);
        let response = match timeout(self.request_timeout, answering).await {
            Ok(Ok(response)) => response,
            Ok(Err(mut refused)) => {
                let was_sent = refused.take_message().is_none();
                let error = refused.into_error();
                if !was_sent {
                    return Err(not_sent(&error));
                }
                stats.add_call(request.data);
                return Err(Failure::lost(Some(&error), url));
            }
            Err(_) => {
                stats.add_call(request.data);
                return Err(Failure::lost(None, url));
            }
        };
        stats.add_call(request.data);
        let (head, mut incoming) = response.into_parts();
        if let Some(error) = redirected(head.status, &head.headers, url) {
            return Err(Failure::at(Stage::Redirected, error));
        }
        let mut body = Vec::new();
        loop {
            let frame = match timeout(self.request_timeout, incoming.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(Failure::lost(Some(&error), url)),
                Ok(None) => break,
                Err(_) => return Err(Failure::lost(None, url)),
            };
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if body.len() + chunk.len() > self.largest_reply {
                return Err(Failure::at(
                    Stage::Unusable,
                    too_large(self.largest_reply, url),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        stats.add_bytes(body.len() as u64);
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: body.into(),
        })
    }
}

fn message(
    request: &Request,
    authorization: Option<&HeaderValue>,
) -> Result<hyper::Request<Full<Bytes>>> {
    let unsendable = || {
        Error::new(
            ErrorKind::Undecodable,
            "a request's address or headers cannot be sent",
        )
    };
    let url = &request.url;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut message = hyper::Request::new(Full::new(request.body.clone().unwrap_or_default()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = target.parse().map_err(|_| unsendable())?;
    let headers = message.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| unsendable())?);
    headers.insert(
        reqwest::header::USER_AGENT,
        HeaderValue::from_static(USER_AGENT),
    );
    headers.extend(request.headers.clone());
    if let Some(authorization) = authorization {
        let mut authorization = authorization.clone();
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
    }
    Ok(message)
}

/// A literal IPv6 address stands in brackets in an address, and without them in a certificate.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

/// Gives an error of any make a place in the chain of causes.
#[derive(Debug)]
struct Unconnected(Box<dyn StdError + Send + Sync>);

impl std::fmt::Display for Unconnected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no connection")
    }
}

impl StdError for Unconnected {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
