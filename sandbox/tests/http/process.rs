//! The server as a process: what it writes, and when it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Ends a process that a failing test leaves behind.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Fails when the process is gone already, which is what a test wants.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server and waits for the line it prints when it is ready.
fn ready(directory: &Path, options: &[&str]) -> (Guard, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crm-sandbox"))
        .arg("--state-dir")
        .arg(directory)
        .args(options)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("a line");
    assert!(line.starts_with("crm-sandbox: "), "{line}");
    let text = std::fs::read_to_string(directory.join("sandbox.json")).expect("sandbox.json");
    (Guard(child), serde_json::from_str(&text).expect("JSON"))
}

fn ended(server: &mut Guard) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = server.0.try_wait().expect("its state") {
            return status;
        }
        assert!(Instant::now() < deadline, "the server goes on");
        std::thread::yield_now();
    }
}

#[test]
fn it_writes_what_a_client_needs_and_ends_on_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut server, state) = ready(directory.path(), &["--listen", "127.0.0.1:0"]);
    let port = state["port"].as_u64().expect("a port");
    assert_eq!(state["login_url"], format!("https://localhost:{port}"));
    assert_eq!(state["instance_url"], format!("https://127.0.0.1:{port}"));
    for name in [
        "username",
        "password",
        "security_token",
        "client_id",
        "client_secret",
        "refresh_token",
    ] {
        assert!(state["salesforce"][name].is_string(), "{name}");
    }
    let key = state["salesforce"]["private_key_file"]
        .as_str()
        .expect("a path");
    assert!(
        std::fs::read_to_string(key)
            .expect("a key")
            .contains("PRIVATE KEY")
    );
    assert!(
        std::fs::read_to_string(directory.path().join("ca.pem"))
            .expect("a file")
            .contains("CERTIFICATE")
    );
    assert!(std::net::TcpStream::connect(("127.0.0.1", port as u16)).is_ok());
    let told = Command::new("kill")
        .arg(server.0.id().to_string())
        .status()
        .expect("kill runs");
    assert!(told.success());
    assert!(ended(&mut server).success());
}

#[test]
fn it_ends_with_the_process_it_watches() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut watched = Guard(
        Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat runs"),
    );
    let pid = watched.0.id().to_string();
    let (mut server, _) = ready(directory.path(), &["--parent-pid", &pid]);
    assert!(server.0.try_wait().expect("its state").is_none());
    watched.0.kill().expect("it can be ended");
    assert!(ended(&mut server).success());
}

#[test]
fn it_serves_this_machine_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let status = Command::new(env!("CARGO_BIN_EXE_crm-sandbox"))
        .arg("--state-dir")
        .arg(directory.path())
        .args(["--listen", "0.0.0.0:0"])
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    assert!(!status.success());
    assert!(!directory.path().join("sandbox.json").exists());
}
