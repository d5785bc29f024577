//! A server that stands in for a CRM in tests and demos: HTTPS on this machine, real-looking data, faults
//! on demand. It is written from vendor documentation alone and shares no code with the connectors.
//! Start with [`start`]; the faces are modules of their own (`salesforce`, `dynamics`, `oracle`).

// A described field has 56 attributes, one step of `json!` each.
#![recursion_limit = "256"]

mod admin;
mod dynamics;
mod faults;
mod generate;
mod hold;
mod input;
mod journal;
mod oracle;
mod record_rules;
mod request;
mod salesforce;
mod server;
mod tls;
mod xml;

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use dynamics::Dynamics;
use salesforce::{Salesforce, Setup, auth};

/// How a server is to behave.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on the loopback addresses; 0 takes a free one.
    pub port: u16,
    /// Generated contacts beyond the recorded ones.
    pub contacts: u32,
    /// Changes the values of generated contacts.
    pub seed: u64,
    /// Time each answer takes longer.
    pub latency: Duration,
    /// Most records on a page.
    pub page_cap: Option<usize>,
    /// Compress answers for clients that accept it.
    pub gzip: bool,
    /// Present a certificate whose time is over.
    pub expired_certificate: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            contacts: 0,
            seed: 7,
            latency: Duration::ZERO,
            page_cap: None,
            gzip: false,
            expired_certificate: false,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be taken.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// Certificates or embedded data could not be made ready.
    #[error("cannot prepare: {0}")]
    Prepare(String),
}

/// Test credentials of the Salesforce face; none protects anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    /// A user whose password has expired.
    pub expired_username: String,
    /// Another user with the same password.
    pub second_username: String,
    pub password: String,
    pub security_token: String,
    pub client_id: String,
    pub client_secret: String,
    pub refresh_token: String,
    /// PEM, PKCS#8.
    pub private_key: String,
}

/// Test credentials of the Oracle face; none protects anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleCredentials {
    pub username: String,
    /// Another user with the same password.
    pub second_username: String,
    pub password: String,
}

/// A running server; it stops when [`Sandbox::shutdown`] is called or this is dropped.
pub struct Sandbox {
    /// The port on every loopback address.
    pub port: u16,
    /// Stands for `https://login.salesforce.com`.
    pub login_url: String,
    /// Stands for the instance and the My Domain name.
    pub instance_url: String,
    /// Faults, counters, limits.
    pub admin_url: String,
    /// The authority to trust, PEM.
    pub ca_pem: String,
    /// What signs in.
    pub credentials: Credentials,
    /// What signs in at the Oracle face.
    pub oracle: OracleCredentials,
    state: Arc<State>,
    handles: Vec<server::Handle>,
}

impl Sandbox {
    /// Stops the server and drops its connections.
    pub fn shutdown(&self) {
        for handle in &self.handles {
            handle.shutdown();
        }
        self.state.release_hanging();
    }

    /// The content of `sandbox.json`, without the path of the key file.
    pub fn description(&self) -> &Value {
        &self.state.description
    }

    /// Writes `ca.pem`, the JWT key and, last and at once, `sandbox.json` into a directory.
    ///
    /// # Errors
    /// Any the file system reports.
    pub fn write_state(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("ca.pem"), &self.ca_pem)?;
        let key = directory.join("TEST_ONLY_jwt_private_key.pem");
        std::fs::write(&key, &self.credentials.private_key)?;
        let mut description = self.description().clone();
        description["ca_file"] = json!(directory.join("ca.pem"));
        description["salesforce"]["private_key_file"] = json!(key);
        let draft = directory.join("sandbox.json.part");
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(format!("{description:#}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(draft, directory.join("sandbox.json"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// What all requests share.
struct State {
    config: Config,
    description: Value,
    salesforce: Salesforce,
    dynamics: Dynamics,
    oracle: oracle::Oracle,
    faults: faults::Faults,
    journal: journal::Journal,
    /// Moves on when hanging requests are to be let go.
    hanging: watch::Sender<u64>,
    holds: hold::Holds,
    /// How much longer each answer takes, in milliseconds.
    latency_ms: AtomicU64,
}

impl State {
    fn release_hanging(&self) {
        self.hanging.send_modify(|generation| *generation += 1);
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    fn set_latency(&self, ms: u64) {
        self.latency_ms.store(ms, Ordering::Relaxed);
    }
}

/// Starts a server on the loopback addresses; it runs on the current tokio runtime.
///
/// # Errors
/// [`StartError`] when the port is taken or the embedded data does not load.
pub async fn start(config: Config) -> Result<Sandbox, StartError> {
    let listeners = listen(config.port)?;
    let port = listeners[0].local_addr()?.port();
    let login_url = format!("https://localhost:{port}");
    let instance_url = format!("https://127.0.0.1:{port}");
    let admin_url = format!("{instance_url}/_sandbox");
    let tls = tls::make(config.expired_certificate).map_err(StartError::Prepare)?;
    let credentials = Credentials {
        username: auth::USERNAME.to_owned(),
        expired_username: auth::EXPIRED_USERNAME.to_owned(),
        second_username: auth::SECOND_USERNAME.to_owned(),
        password: auth::PASSWORD.to_owned(),
        security_token: auth::SECURITY_TOKEN.to_owned(),
        client_id: auth::CLIENT_ID.to_owned(),
        client_secret: auth::CLIENT_SECRET.to_owned(),
        refresh_token: auth::REFRESH_TOKEN.to_owned(),
        private_key: auth::PRIVATE_KEY.to_owned(),
    };
    let oracle_credentials = OracleCredentials {
        username: oracle::session::USERNAME.to_owned(),
        second_username: oracle::session::SECOND_USERNAME.to_owned(),
        password: oracle::session::PASSWORD.to_owned(),
    };
    let mut description = json!({
        "port": port, "login_url": login_url, "instance_url": instance_url,
        "admin_url": admin_url,
        "salesforce": {
            "note": "test values, they protect nothing",
            "username": credentials.username, "expired_username": credentials.expired_username,
            "second_username": credentials.second_username, "password": credentials.password,
            "security_token": credentials.security_token, "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "refresh_token": credentials.refresh_token,
        },
        "oracle": {
            "note": "test values, they protect nothing",
            "base_url": instance_url,
            "username": oracle_credentials.username,
            "second_username": oracle_credentials.second_username,
            "password": oracle_credentials.password,
        },
    });
    let salesforce = Salesforce::new(&Setup {
        login_url: &login_url,
        instance_url: &instance_url,
        contacts: generate::Contacts::new(config.contacts, config.seed),
        page_cap: config.page_cap,
        gzip: config.gzip,
    })
    .map_err(StartError::Prepare)?;
    let dynamics = Dynamics::new(
        &login_url,
        &instance_url,
        generate::Contacts::new(config.contacts, config.seed),
        config.page_cap,
        Arc::clone(&salesforce.clock),
    )
    .map_err(StartError::Prepare)?;
    description["dynamics"] = dynamics.description();
    let contacts = generate::Contacts::new(config.contacts, config.seed);
    let clock = Arc::clone(&salesforce.clock);
    let oracle =
        oracle::Oracle::new(contacts, clock, config.page_cap).map_err(StartError::Prepare)?;
    let latency_ms = u64::try_from(config.latency.as_millis())
        .unwrap_or(u64::MAX)
        .into();
    let state = Arc::new(State {
        config,
        description,
        salesforce,
        dynamics,
        oracle,
        faults: faults::Faults::default(),
        journal: journal::Journal::default(),
        hanging: watch::Sender::new(0),
        holds: hold::Holds::default(),
        latency_ms,
    });
    let handles = listeners
        .into_iter()
        .map(|listener| server::serve(listener, Arc::clone(&tls.config), Arc::clone(&state)))
        .collect::<Result<_, _>>()?;
    Ok(Sandbox {
        port,
        login_url,
        instance_url,
        admin_url,
        ca_pem: tls.ca_pem,
        credentials,
        oracle: oracle_credentials,
        state,
        handles,
    })
}

/// Takes the same port on 127.0.0.1 and, where the machine has it, on ::1: `localhost` may be either.
fn listen(port: u16) -> std::io::Result<Vec<TcpListener>> {
    const TRIES: usize = 20;
    let mut tries = 0;
    loop {
        let first = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let taken = first.local_addr()?.port();
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, taken))) {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tries += 1;
                if port != 0 || tries == TRIES {
                    return Err(error);
                }
            }
            Err(_) => return Ok(vec![first]),
        }
    }
}

/// Compresses a body, quickly rather than well.
fn gzip(body: &[u8]) -> axum::body::Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail; an empty body would be noticed at once.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}
