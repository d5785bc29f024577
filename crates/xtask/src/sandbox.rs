//! The sandbox, a small CRM server of this repository: building, starting, stopping it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cleanup::{self, Guard, TemporaryDir};
use crate::proc::{self, Output};
use crate::user::ServerUser;
use crate::workspace::Workspace;

/// How long the sandbox may take to make its data and say where it listens.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// The group whose values scripts know without its name.
const FIRST_GROUP: &str = "salesforce";

/// A running sandbox; dropping it stops the process and removes its folder.
pub struct Sandbox {
    /// The folder it writes to: `sandbox.json`, `ca.pem`, its log.
    pub state_dir: PathBuf,
    description: Value,
    child: Arc<Mutex<Child>>,
    _stop: Guard,
    _dir: Option<TemporaryDir>,
}

/// Builds the sandbox in the release profile and returns the path of its program.
///
/// # Errors
/// Fails when it does not build.
pub fn build(workspace: &Workspace, output: &Output) -> Result<PathBuf> {
    let mut build = workspace.cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "crm-sandbox",
        "--bin",
        "crm-sandbox",
    ]);
    output.run(build)?;
    Ok(workspace.target.join("release/crm-sandbox"))
}

impl Sandbox {
    /// Starts `program` with `arguments` in a folder that `user` can read too, since the server
    /// opens the CA file, and waits until it listens.
    ///
    /// # Errors
    /// Fails, quoting its log, when it ends early or takes too long.
    pub fn start(program: &Path, user: &ServerUser, arguments: &[String]) -> Result<Self> {
        let dir = user.private_dir()?;
        let state_dir = dir.path().to_owned();
        Self::start_in(program, user, arguments, state_dir, Some(dir))
    }

    fn start_in(
        program: &Path,
        user: &ServerUser,
        arguments: &[String],
        state_dir: PathBuf,
        dir: Option<TemporaryDir>,
    ) -> Result<Self> {
        let log_path = state_dir.join("sandbox.log");
        let log = File::create(&log_path)
            .with_context(|| format!("cannot create {}", log_path.display()))?;
        let mut command = Command::new(program);
        if !arguments
            .iter()
            .any(|argument| argument.starts_with("--listen"))
        {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
            .arg("--state-dir")
            .arg(&state_dir)
            .args(["--parent-pid", &std::process::id().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in psql must not reach it.
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let child = Arc::new(Mutex::new(child));
        let stop = {
            let child = Arc::clone(&child);
            cleanup::at_end(move || stop(&child))
        };
        let description = wait_until_described(&child, &state_dir, &log_path)?;
        for entry in std::fs::read_dir(&state_dir)? {
            user.own(&entry?.path())?;
        }
        Ok(Self {
            state_dir,
            description,
            child,
            _stop: stop,
            _dir: dir,
        })
    }

    /// The certificate of the authority that signed its server certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.state_dir.join("ca.pem")
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        lock(&self.child).id()
    }

    /// What tests and scripts need to reach it, as names and values: `port`, `login_url`,
    /// `instance_url`, `admin_url`, `ca_file`, `state_dir`, and the credentials: those of Salesforce
    /// under their own names, those of others behind the name of their group.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut found = vec![
            ("ca_file".to_owned(), self.ca_file().display().to_string()),
            ("state_dir".to_owned(), self.state_dir.display().to_string()),
        ];
        collect_variables(&self.description, "", &mut found);
        found
    }

    /// The same as environment variables (see `environment_name`), and the CA file as
    /// `CRM_SANDBOX_CA` too.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment: Vec<_> = self
            .variables()
            .into_iter()
            .map(|(name, value)| (environment_name(&name), value))
            .collect();
        environment.push((
            "CRM_SANDBOX_CA".to_owned(),
            self.ca_file().display().to_string(),
        ));
        environment
    }

    /// Commands that make psql take the same from its environment as variables, for arguments can be read by everyone
    /// on the machine.
    pub fn psql_variables(&self) -> String {
        self.variables()
            .iter()
            .map(|(name, _)| format!("\\getenv {name} {}\n", environment_name(name)))
            .collect()
    }

    /// Waits until the process ends by itself or is ended by a signal to us.
    ///
    /// # Errors
    /// Fails when it did not end well.
    pub fn wait(&self) -> Result<()> {
        loop {
            let ended = lock(&self.child).try_wait()?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the sandbox ended ({status})"),
                None => thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

/// The environment variable that carries a variable: `login_url` becomes `CRM_SANDBOX_LOGIN_URL`.
pub fn environment_name(variable: &str) -> String {
    format!("CRM_SANDBOX_{}", variable.to_uppercase())
}

/// `cargo xtask sandbox`: runs it until Ctrl-C.
///
/// # Errors
/// Fails when it cannot be built or started.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let program = build(workspace, &Output::Shown)?;
    let user = ServerUser::find()?;
    let (folder, arguments) = split_state_dir(arguments);
    let sandbox = match folder {
        Some(folder) => {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            // One from an earlier run would be taken for this one's.
            remove_if_present(&folder.join("sandbox.json"))?;
            Sandbox::start_in(&program, &user, &arguments, folder, None)?
        }
        None => Sandbox::start(&program, &user, &arguments)?,
    };
    let place = |name: &str| sandbox.state_dir.join(name).display().to_string();
    let is_address = |name: &str| name.ends_with("_url") || name == "port";
    let mut lines: Vec<_> = sandbox
        .variables()
        .into_iter()
        .filter(|(name, _)| is_address(name))
        .collect();
    lines.push(("CA certificate".to_owned(), place("ca.pem")));
    lines.push(("credentials".to_owned(), place("sandbox.json")));
    lines.push(("log".to_owned(), place("sandbox.log")));
    for (name, value) in lines {
        println!("{name:<16} {value}");
    }
    println!("\nCtrl-C stops it");
    sandbox.wait()
}

/// Takes `--state-dir DIR` (or `--state-dir=DIR`) out of the arguments.
fn split_state_dir(arguments: &[String]) -> (Option<PathBuf>, Vec<String>) {
    let mut folder = None;
    let mut others = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--state-dir" {
            folder = rest.next().map(PathBuf::from);
        } else if let Some(value) = argument.strip_prefix("--state-dir=") {
            folder = Some(PathBuf::from(value));
        } else {
            others.push(argument.clone());
        }
    }
    (folder, others)
}

fn remove_if_present(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The description is written last and whole, so its presence means that the sandbox listens.
fn wait_until_described(child: &Mutex<Child>, state_dir: &Path, log: &Path) -> Result<Value> {
    let file = state_dir.join("sandbox.json");
    let started = Instant::now();
    loop {
        match std::fs::read_to_string(&file) {
            // A file caught half written is read again.
            Ok(text) => {
                if let Ok(description) = serde_json::from_str(&text) {
                    return Ok(description);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot read the sandbox's description"),
        }
        if let Some(status) = lock(child).try_wait()? {
            let log = proc::tail(log, 40).unwrap_or_default();
            bail!("the sandbox ended at its start ({status})\n{log}");
        }
        if started.elapsed() > START_LIMIT {
            let log = proc::tail(log, 40).unwrap_or_default();
            bail!(
                "the sandbox wrote no {} within {} s\n{log}",
                file.display(),
                START_LIMIT.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn stop(child: &Mutex<Child>) {
    let mut child = lock(child);
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    // An error means that it has ended already.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < STOP_LIMIT {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scalars by their own name behind `group`; groups are opened. Several have a `client_id`, so each but `FIRST_GROUP`
/// puts its own name in front.
fn collect_variables(value: &Value, group: &str, found: &mut Vec<(String, String)>) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        let text = match member {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => member.to_string(),
            Value::Object(_) if name == FIRST_GROUP => {
                collect_variables(member, group, found);
                continue;
            }
            Value::Object(_) => {
                collect_variables(member, &format!("{group}{name}_"), found);
                continue;
            }
            Value::Array(_) | Value::Null => continue,
        };
        let name = format!("{group}{name}");
        if !found.iter().any(|(other, _)| *other == name) {
            found.push((name, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_description_becomes_variables() {
        let description = json!({
            "port": 7, "login_url": "https://localhost:7",
            "dynamics": {"username": "other-user"},
            "salesforce": {"username": "test-user", "port": 8}
        });
        let mut found = Vec::new();
        collect_variables(&description, "", &mut found);
        found.sort();
        let expected = [
            ("dynamics_username", "other-user"),
            ("login_url", "https://localhost:7"),
            ("port", "7"),
            ("username", "test-user"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_state_dir_is_taken_out_of_the_arguments() {
        let arguments = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let expected = (Some(PathBuf::from("d")), arguments(&["--contacts", "5"]));
        for given in [
            &["--state-dir", "d", "--contacts", "5"][..],
            &["--contacts", "5", "--state-dir=d"],
        ] {
            assert_eq!(split_state_dir(&arguments(given)), expected);
        }
        assert_eq!(split_state_dir(&[]), (None, Vec::new()));
    }

    #[test]
    fn a_program_that_ends_early_is_an_error_with_its_log() {
        let user = ServerUser::find().unwrap();
        let error = Sandbox::start(Path::new("/bin/false"), &user, &[])
            .err()
            .unwrap();
        assert!(error.to_string().contains("ended at its start"), "{error}");
    }

    #[test]
    fn a_sandbox_is_described_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("fake-sandbox");
        std::fs::write(
            &program,
            "#!/bin/sh\nwhile [ \"$1\" != --state-dir ]; do shift; done\n\
             echo '{\"port\": 1}' > \"$2/part\" && mv \"$2/part\" \"$2/sandbox.json\"\nexec sleep 60\n",
        )
        .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let user = ServerUser::find().unwrap();
        let sandbox = Sandbox::start(&program, &user, &[]).unwrap();
        assert!(
            sandbox
                .environment()
                .contains(&("CRM_SANDBOX_PORT".into(), "1".into()))
        );
        let (child, state_dir) = (Arc::clone(&sandbox.child), sandbox.state_dir.clone());
        drop(sandbox);
        assert!(lock(&child).try_wait().unwrap().is_some());
        assert!(!state_dir.exists());
    }
}
