//! `crm-sandbox`: the server as a process of its own. It writes what a client needs to know into its
//! state directory, prints one line and serves until it is told to stop or its parent is gone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A small CRM server for tests and demos, over HTTPS on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one. Only loopback addresses are served.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// Directory for sandbox.json, ca.pem and the test key; made if missing.
    #[arg(long)]
    state_dir: PathBuf,
    /// Generated contacts beyond the recorded ones.
    #[arg(long, default_value_t = 0)]
    contacts: u32,
    /// Changes the values of generated contacts.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Milliseconds each answer takes longer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Most records on a page.
    #[arg(long)]
    page_cap: Option<usize>,
    /// Compress answers for clients that accept it.
    #[arg(long)]
    gzip: bool,
    /// Present a certificate whose time is over.
    #[arg(long)]
    expired_certificate: bool,
    /// Stop when this process is gone.
    #[arg(long)]
    parent_pid: Option<u32>,
}

/// How often the parent is looked for.
const PARENT_CHECK: Duration = Duration::from_millis(500);

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crm-sandbox: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if !arguments.listen.ip().is_loopback() {
        return Err("--listen takes a loopback address only".into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(arguments))?;
    runtime.shutdown_background();
    Ok(())
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = crm_sandbox::start(crm_sandbox::Config {
        port: arguments.listen.port(),
        contacts: arguments.contacts,
        seed: arguments.seed,
        latency: Duration::from_millis(arguments.latency_ms),
        page_cap: arguments.page_cap,
        gzip: arguments.gzip,
        expired_certificate: arguments.expired_certificate,
    })
    .await?;
    sandbox.write_state(&arguments.state_dir)?;
    println!(
        "crm-sandbox: sign in at {}, data at {}, state in {}",
        sandbox.login_url,
        sandbox.instance_url,
        arguments.state_dir.display()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = parent_gone(arguments.parent_pid) => {}
    }
    sandbox.shutdown();
    Ok(())
}

/// Ends when the process is gone; never without one to watch.
async fn parent_gone(pid: Option<u32>) {
    let Some(pid) = pid else {
        return std::future::pending().await;
    };
    let is_parent = std::os::unix::process::parent_id() == pid;
    loop {
        let adopted = is_parent && std::os::unix::process::parent_id() != pid;
        if adopted || (!is_parent && !alive(pid)) {
            return;
        }
        tokio::time::sleep(PARENT_CHECK).await;
    }
}

/// Whether a process runs; one that only waits to be collected does not.
fn alive(pid: u32) -> bool {
    if Path::new("/proc/self/stat").exists() {
        return std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            let state = stat.rsplit(')').next().unwrap_or_default();
            !state.trim_start().starts_with('Z')
        });
    }
    std::process::Command::new("kill")
        .args(["-0", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
