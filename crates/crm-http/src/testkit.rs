//! A small HTTPS server on the loopback interface that answers as a test says.
//!
//! It makes its own certificate authority, so that tests check certificates as production does.
//! Only for tests: it reads whole requests into memory and trusts its caller.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::future::Future;
use std::io::{Error as IoError, Result as IoResult, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Number of the connection that it came over, from 0.
    pub connection: usize,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&line.1)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Whole,
    CutInBody,
    Closing,
    Silent,
}

impl Answer {
    /// A whole reply.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            ending: Ending::Whole,
        }
    }

    /// The connection is closed once the reply is there.
    #[must_use]
    pub fn and_close(mut self) -> Self {
        self.ending = Ending::Closing;
        self.header("connection", "close")
    }

    /// A reply of which half the body arrives before the connection closes.
    pub fn cut(body: impl Into<Vec<u8>>) -> Self {
        Self {
            ending: Ending::CutInBody,
            ..Self::new(200, body)
        }
    }

    /// No reply, and the connection stays open.
    pub fn silence() -> Self {
        Self {
            ending: Ending::Silent,
            ..Self::new(200, "")
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

type Behaviour = dyn Fn(&Seen) -> Answer + Send + Sync;

/// The server; it ends when dropped.
pub struct Server {
    port: u16,
    ca_file: NamedTempFile,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Starts on a free port with a certificate for `localhost` and answers by `behaviour`.
    pub async fn start(
        behaviour: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> IoResult<Self> {
        Self::start_as("localhost", behaviour).await
    }

    /// As [`Server::start`], with a certificate for another name.
    pub async fn start_as(
        name: &str,
        behaviour: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> IoResult<Self> {
        let (acceptor, ca_pem) = certify(name).map_err(IoError::other)?;
        let mut ca_file = NamedTempFile::new()?;
        ca_file.write_all(ca_pem.as_bytes())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let accepting = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let serving = serve(
                    connection,
                    stream,
                    acceptor.clone(),
                    Arc::clone(&behaviour),
                    Arc::clone(&log),
                );
                // A broken connection is the client's to report.
                tokio::spawn(async move { drop(serving.await) });
            }
        });
        Ok(Self {
            port,
            ca_file,
            seen,
            accepting,
        })
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// PEM file of its certificate authority.
    pub fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .map(|seen| seen.clone())
            .unwrap_or_default()
    }
}

fn certify(name: &str) -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![name.to_string()])?.signed_by(&key, &issuer)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
    Ok((TlsAcceptor::from(Arc::new(config)), ca_certificate.pem()))
}

fn serve(
    connection: usize,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    behaviour: Arc<Behaviour>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Pin<Box<dyn Future<Output = IoResult<()>> + Send>> {
    Box::pin(async move {
        let mut stream = acceptor.accept(stream).await?;
        let mut buffer = Vec::new();
        loop {
            let (head_length, body_length) = loop {
                if let Some(lengths) = lengths_of(&buffer) {
                    break lengths;
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            while buffer.len() < head_length + body_length {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            let rest = buffer.split_off(head_length + body_length);
            let seen = Seen {
                connection,
                ..parse(&buffer, head_length)
            };
            buffer = rest;
            let answer = behaviour(&seen);
            if let Ok(mut log) = log.lock() {
                log.push(seen);
            }
            if answer.ending == Ending::Silent {
                return std::future::pending().await;
            }
            let mut head = format!(
                "HTTP/1.1 {} TEST\r\ncontent-length: {}\r\n",
                answer.status,
                answer.body.len()
            );
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await?;
            if answer.ending == Ending::CutInBody {
                stream
                    .write_all(&answer.body[..answer.body.len() / 2])
                    .await?;
                return stream.shutdown().await;
            }
            // 304 has a length but no body.
            if answer.status != 304 {
                stream.write_all(&answer.body).await?;
            }
            stream.flush().await?;
            if answer.ending == Ending::Closing {
                return stream.shutdown().await;
            }
        }
    })
}

/// Lengths of head, blank line included, and body, once the head is complete.
fn lengths_of(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0);
    Some((end, length))
}

fn parse(buffer: &[u8], head_length: usize) -> Seen {
    let head = String::from_utf8_lossy(&buffer[..head_length]);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_string();
    let (method, target) = (word(), word());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    Seen {
        method,
        target,
        headers,
        body: String::from_utf8_lossy(&buffer[head_length..]).into_owned(),
        connection: 0,
    }
}
