//! A private PostgreSQL server: a fresh folder, a free port, gone at the end.

use std::fs::{File, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cleanup::{self, Guard, TemporaryDir};
use crate::pg::Postgres;
use crate::proc;
use crate::user::ServerUser;

/// The superuser of every private server.
pub const SUPERUSER: &str = "postgres";

/// Who may connect over the loopback interface.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, as any role: tests connect as roles they make themselves.
    Open,
    /// Who knows the password of the superuser: a demo may live long on a shared machine.
    Password,
}

/// A running server; dropping it stops the server and removes its folder.
pub struct Cluster {
    /// The installation it runs from.
    pub postgres: Postgres,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The superuser's password, where one is needed.
    pub password: Option<String>,
    // Fields are dropped in this order: the server is stopped before its folder goes.
    _stop: Guard,
    dir: TemporaryDir,
}

impl Cluster {
    /// Makes and starts a server with `settings` on top of what every private server has.
    ///
    /// # Errors
    /// Fails, quoting the end of the server's log, when it does not come up.
    pub fn start(
        postgres: &Postgres,
        user: &ServerUser,
        access: Access,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = user.private_dir()?;
        let stop = stop_at_end(postgres, user, dir.path());
        let password = (access == Access::Password)
            .then(random_password)
            .transpose()?;
        init_database(postgres, user, dir.path(), password.as_deref())?;
        // Between choosing a port and binding it another program may take it.
        let mut attempts = 3;
        let port = loop {
            let port = free_port()?;
            configure(dir.path(), port, settings)?;
            match start_server(postgres, user, dir.path()) {
                Ok(()) => break port,
                Err(error) => {
                    attempts -= 1;
                    let log = proc::tail(&dir.path().join("server.log"), 40).unwrap_or_default();
                    if attempts == 0 || !log.contains("could not bind") {
                        bail!(
                            "PostgreSQL {} does not start: {error}\n{log}",
                            postgres.major
                        );
                    }
                }
            }
        };
        Ok(Self {
            postgres: postgres.clone(),
            port,
            password,
            _stop: stop,
            dir,
        })
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// The server's first process, whose children the others are.
    ///
    /// # Errors
    /// Fails when the server does not run.
    pub fn pid(&self) -> Result<u32> {
        let file = self.dir.path().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).context("the server does not run")?;
        let first = text.lines().next().unwrap_or_default();
        first.parse().context("the server's pid file is unreadable")
    }

    /// A program of this installation that connects to `database` as the superuser.
    pub fn client(&self, program: &str, database: &str) -> Command {
        self.connect(Command::new(self.postgres.program(program)), database)
    }

    /// `command` with an environment that leads libpq to `database` as the superuser.
    pub fn connect(&self, mut command: Command, database: &str) -> Command {
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", database);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// Fails when the server refuses.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let mut create = self.client("createdb", "postgres");
        create.args(["--template", "template0", name]);
        proc::read(&mut create).map(drop)
    }

    /// Drops a database with its sessions.
    ///
    /// # Errors
    /// Fails when the server refuses.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        let mut drop_it = self.client("dropdb", "postgres");
        drop_it.args(["--force", name]);
        proc::read(&mut drop_it).map(drop)
    }

    /// How a libpq-style client reaches `database` as the superuser.
    pub fn dsn(&self, database: &str) -> String {
        let password = self
            .password
            .as_ref()
            .map(|word| format!(" password={word}"))
            .unwrap_or_default();
        format!(
            "host=127.0.0.1 port={} user={SUPERUSER} dbname={database}{password}",
            self.port
        )
    }

    /// Copies the log to `place` and returns its last `lines` lines.
    ///
    /// # Errors
    /// Fails when it cannot be copied.
    pub fn keep_log(&self, place: &Path, lines: usize) -> Result<String> {
        std::fs::copy(self.log(), place)
            .with_context(|| format!("cannot keep the server log as {}", place.display()))?;
        proc::tail(place, lines)
    }
}

fn stop_at_end(postgres: &Postgres, user: &ServerUser, dir: &Path) -> Guard {
    let (pg_ctl, user) = (postgres.program("pg_ctl"), user.clone());
    let data = dir.join("data");
    cleanup::at_end(move || stop_server(&pg_ctl, &user, &data))
}

/// Stops the server in `data`, if one runs there: first politely, then at once.
pub fn stop_server(pg_ctl: &Path, user: &ServerUser, data: &Path) {
    if !data.join("postmaster.pid").exists() {
        return;
    }
    let stopped = ["fast", "immediate"].into_iter().any(|mode| {
        proc::succeeds(
            user.command(pg_ctl)
                .args([
                    "stop",
                    "--silent",
                    "--wait",
                    "--timeout",
                    "20",
                    "--mode",
                    mode,
                ])
                .arg("--pgdata")
                .arg(data),
        )
    });
    if !stopped && data.join("postmaster.pid").exists() {
        eprintln!("cannot stop the PostgreSQL server in {}", data.display());
    }
}

fn init_database(
    postgres: &Postgres,
    user: &ServerUser,
    dir: &Path,
    password: Option<&str>,
) -> Result<()> {
    let mut init = user.command(postgres.program("initdb"));
    init.arg("--pgdata").arg(dir.join("data")).args([
        "--username",
        SUPERUSER,
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    if let Some(password) = password {
        let file = dir.join("password");
        std::fs::write(&file, password)?;
        std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        user.own(&file)?;
        init.arg("--auth=scram-sha-256").arg("--pwfile").arg(file);
    } else {
        init.arg("--auth=trust");
    }
    proc::read(&mut init).map(drop)
}

/// Written anew for each attempt; the server reads it after its own `postgresql.conf`.
fn configure(dir: &Path, port: u16, settings: &[(&str, &str)]) -> Result<()> {
    let port = port.to_string();
    let socket_dir = dir.to_string_lossy();
    let common = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        ("unix_socket_directories", &socket_dir),
        ("fsync", "off"),
        ("max_prepared_transactions", "10"),
        ("log_line_prefix", "%m [%p] "),
        ("timezone", "UTC"),
        ("lc_messages", "C"),
    ];
    let text: String = common
        .iter()
        .chain(settings)
        .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
        .collect();
    std::fs::write(dir.join("data/postgresql.auto.conf"), text)
        .context("cannot write the server's settings")
}

fn start_server(postgres: &Postgres, user: &ServerUser, dir: &Path) -> Result<()> {
    let mut start = user.command(postgres.program("pg_ctl"));
    // Users' servers run without it, and it would put a trace into every error's detail.
    start.env_remove("RUST_BACKTRACE");
    start
        .args(["start", "--silent", "--wait", "--timeout", "60"])
        .arg("--pgdata")
        .arg(dir.join("data"))
        .arg("--log")
        .arg(dir.join("server.log"))
        // A server that inherits our pipe would keep its reader waiting for as long as it lives.
        .stdout(std::process::Stdio::null());
    anyhow::ensure!(proc::succeeds(&mut start), "pg_ctl start failed");
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// 128 bits from the system, in hexadecimal.
fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot make a password")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn settings_are_quoted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        configure(dir.path(), 5, &[("application_name", "it's")]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("data/postgresql.auto.conf")).unwrap();
        assert!(text.contains("port = '5'\n"), "{text}");
        assert!(text.contains("application_name = 'it''s'\n"), "{text}");
    }
}
