//! A PostgreSQL server that one test owns: it may be killed and started again without a word to the others.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Where a server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// How a client reaches it as the superuser.
    pub dsn: String,
    /// Its log.
    pub log: PathBuf,
}

impl Place {
    /// The server that all tests share.
    ///
    /// # Panics
    /// Without the variables `CRM_TEST_DSN` and `CRM_TEST_PG_LOG`.
    pub fn shared() -> Self {
        Self {
            dsn: variable("CRM_TEST_DSN"),
            log: variable("CRM_TEST_PG_LOG").into(),
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name}: run these tests with cargo xtask test --only integration")
    })
}

/// A server of a test's own; dropping it stops it.
pub struct Cluster {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    /// User and group that run it, where we are root: a server refuses that.
    user: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes and starts a server of the installation under test.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let cluster = Self {
            bin: variable("CRM_TEST_PG_BIN").into(),
            dir: TempDir::new_in("/tmp").expect("a folder"),
            port: port.expect("a free port").port(),
            user: (id("-u", None) == 0)
                .then(|| (id("-u", Some("postgres")), id("-g", Some("postgres")))),
        };
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(cluster.dir.path(), open).expect("our own folder");
        if let Some((user, group)) = cluster.user {
            chown(cluster.dir.path(), Some(user), Some(group)).expect("root may");
        }
        let data = cluster.data();
        let mut init = cluster.program("initdb");
        init.arg("--pgdata").arg(&data).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(init);
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nlog_min_messages = debug5\n\
             log_line_prefix = '%m [%p] '\ntimezone = 'UTC'\nlc_messages = 'C'\nrestart_after_crash = on\nfsync = off\n",
            cluster.port
        );
        std::fs::write(data.join("postgresql.auto.conf"), settings).expect("the settings");
        cluster.start_again();
        cluster
    }

    /// How it is reached.
    pub fn place(&self) -> Place {
        Place {
            dsn: format!(
                "host=127.0.0.1 port={} user=postgres dbname=postgres",
                self.port
            ),
            log: self.dir.path().join("server.log"),
        }
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it after [`Cluster::stop_at_once`].
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&self) {
        let mut start = self.program("pg_ctl");
        start.env_remove("RUST_BACKTRACE");
        // A server logs its environment when it starts, and this one's holds the credentials of a sandbox.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CRM_") {
                start.env_remove(name);
            }
        }
        start
            .args(["start", "--silent", "--wait", "--timeout=60"])
            .arg("--pgdata")
            .arg(self.data())
            .arg("--log")
            .arg(self.place().log)
            .stdout(std::process::Stdio::null());
        run(start);
    }

    /// Stops it as a power failure would: nothing is written back, sessions end without a word.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop_at_once(&self) {
        run(self.stop("immediate"));
    }

    fn stop(&self, mode: &str) -> Command {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--silent", "--wait", "--timeout=30", "--mode", mode])
            .arg("--pgdata")
            .arg(self.data());
        stop
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            drop(self.stop("immediate").status());
        }
    }
}

fn run(mut command: Command) {
    let output = command.output().expect("a program");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A number that the program `id` tells.
fn id(flag: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(flag).args(user).output();
    let output = output.expect("the program id");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a number")
}
