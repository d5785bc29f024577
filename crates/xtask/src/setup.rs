//! What the other commands need on this machine: checked, and installed where that is possible.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::geteuid;

use crate::pg::{self, Major, Postgres};
use crate::proc::{self, Output};
use crate::user::ServerUser;
use crate::workspace::{self, Workspace};

/// The version of pgrx the extension is pinned to.
const PGRX_VERSION: &str = "0.18.1";

/// Something from the system's packages.
struct Requirement {
    what: &'static str,
    package: &'static str,
    present: fn() -> bool,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        what: "a C compiler",
        package: "gcc",
        present: || proc::on_path("cc") || proc::on_path("gcc"),
    },
    Requirement {
        what: "the headers of the C library",
        package: "libc6-dev",
        present: || Path::new("/usr/include/stdio.h").is_file(),
    },
    Requirement {
        what: "make",
        package: "make",
        present: || proc::on_path("make"),
    },
    Requirement {
        what: "pkg-config",
        package: "pkg-config",
        present: || proc::on_path("pkg-config"),
    },
    Requirement {
        what: "clang (finds the compiler's own headers for bindgen)",
        package: "clang",
        present: || proc::on_path("clang"),
    },
    Requirement {
        what: "libclang (reads PostgreSQL's headers)",
        package: "libclang-dev",
        present: has_libclang,
    },
    Requirement {
        what: "Python 3",
        package: "python3",
        present: || proc::on_path("python3"),
    },
    Requirement {
        what: "Python's venv",
        package: "python3-venv",
        present: || python_has("venv, ensurepip"),
    },
    Requirement {
        what: "Python's pip",
        package: "python3-pip",
        present: || python_has("pip"),
    },
    Requirement {
        what: "unzip",
        package: "unzip",
        present: || proc::on_path("unzip"),
    },
    Requirement {
        what: "root certificates",
        package: "ca-certificates",
        present: || Path::new("/etc/ssl/certs/ca-certificates.crt").is_file(),
    },
    Requirement {
        what: "runuser",
        package: "util-linux",
        present: || !geteuid().is_root() || proc::on_path("runuser"),
    },
    Requirement {
        what: "sudo (pgrx runs its test server with it)",
        package: "sudo",
        present: || !geteuid().is_root() || proc::on_path("sudo"),
    },
];

/// A machine that is ready: who runs servers, and which ones.
pub struct Ready {
    /// The account that runs PostgreSQL.
    pub user: ServerUser,
    /// One installation for each version asked for, in that order.
    pub installations: Vec<Postgres>,
}

/// Makes this machine ready for `majors`.
///
/// # Errors
/// Lists everything that is missing and cannot be installed from here, with the command that cures it.
pub fn ensure_ready(workspace: &Workspace, majors: &[Major]) -> Result<Ready> {
    install_packages(workspace, majors)?;
    let user = ServerUser::find()?;
    let installations = majors
        .iter()
        .map(|major| Postgres::find_or_fetch(*major, &user))
        .collect::<Result<Vec<_>>>()?;
    if !installations.is_empty() {
        install_pgrx()?;
        register_with_pgrx(workspace, &installations)?;
    }
    Ok(Ready {
        user,
        installations,
    })
}

/// Packages of the system, in one call of the package manager.
fn install_packages(workspace: &Workspace, majors: &[Major]) -> Result<()> {
    let missing: Vec<&Requirement> = REQUIREMENTS
        .iter()
        .filter(|requirement| !(requirement.present)())
        .collect();
    let mut packages: Vec<String> = missing
        .iter()
        .map(|requirement| requirement.package.to_owned())
        .collect();
    let mut reasons: Vec<String> = missing
        .iter()
        .map(|requirement| format!("{} (package {})", requirement.what, requirement.package))
        .collect();
    for major in majors.iter().filter(|major| !is_installed(**major)) {
        packages.extend([
            format!("postgresql-{major}"),
            format!("postgresql-server-dev-{major}"),
        ]);
        reasons.push(format!(
            "PostgreSQL {major} with its development files (or set {})",
            major.variable()
        ));
    }
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !geteuid().is_root() || !proc::on_path("apt-get") {
        let command = if proc::on_path("apt-get") {
            format!("sudo apt-get update && sudo apt-get install --yes {list}")
        } else {
            format!("the packages that Debian calls {list}")
        };
        bail!("missing:\n  {}\ninstall: {command}", reasons.join("\n  "));
    }
    println!("installing {list}");
    let log = workspace.scratch().join("log/packages.log");
    let output = Output::logged(log.clone())?;
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet=2"]);
    // Without the newest list the packages may still be had.
    let _ = output.run(update);
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--quiet=2", "--no-install-recommends"])
        .args(&packages);
    output.run(install).with_context(|| {
        format!(
            "{}\ncannot install what is missing:\n  {}",
            proc::tail(&log, 20).unwrap_or_default(),
            reasons.join("\n  ")
        )
    })
}

/// Version 18 has another source than packages (see `pg`), so it is never asked of them.
fn is_installed(major: Major) -> bool {
    if major == Major(18) || std::env::var_os(major.variable()).is_some() {
        return true;
    }
    pg::pgrx_entry(major).is_some_and(|path| path.is_file())
        || (Path::new(&format!("/usr/lib/postgresql/{major}/bin/postgres")).is_file()
            && Path::new(&format!(
                "/usr/include/postgresql/{major}/server/postgres.h"
            ))
            .is_file())
}

fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let versions = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"))
        .map(|entry| entry.path().join("lib"))
        .chain(
            [
                "/usr/lib/x86_64-linux-gnu",
                "/usr/lib/aarch64-linux-gnu",
                "/usr/lib64",
            ]
            .map(Into::into),
        )
        .any(|dir| {
            std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .any(|file| {
                    let name = file.file_name();
                    let name = name.to_string_lossy();
                    name.starts_with("libclang.so") || name.starts_with("libclang-")
                })
        })
}

fn python_has(modules: &str) -> bool {
    proc::succeeds(Command::new("python3").args(["-c", &format!("import {modules}")]))
}

fn install_pgrx() -> Result<()> {
    let found = proc::read(Command::new("cargo").args(["pgrx", "--version"])).ok();
    let version = found
        .as_deref()
        .and_then(|text| text.split_whitespace().last());
    match version {
        Some(PGRX_VERSION) => return Ok(()),
        Some(other) => bail!(
            "cargo-pgrx is of version {other}, the extension needs {PGRX_VERSION}\n  \
             install it: cargo install cargo-pgrx --version {PGRX_VERSION} --locked --force"
        ),
        None => {}
    }
    println!("installing cargo-pgrx {PGRX_VERSION} (takes some minutes)");
    let mut install = Command::new("cargo");
    install.args([
        "install",
        "cargo-pgrx",
        "--version",
        PGRX_VERSION,
        "--locked",
        "--quiet",
    ]);
    // Its build is of no use to the workspace; elsewhere it would fill the target folder.
    install.env(
        "CARGO_TARGET_DIR",
        workspace::cache_dir()?.join("cargo-pgrx-build"),
    );
    let outcome = Output::Shown
        .run(install)
        .context("cannot install cargo-pgrx");
    // Only a leftover of the build: its absence or presence changes nothing.
    let _ = std::fs::remove_dir_all(workspace::cache_dir()?.join("cargo-pgrx-build"));
    outcome
}

/// Tells pgrx of installations it does not know yet; entries it has are left alone.
fn register_with_pgrx(workspace: &Workspace, installations: &[Postgres]) -> Result<()> {
    let unknown: Vec<&Postgres> = installations
        .iter()
        .filter(|postgres| pg::pgrx_entry(postgres.major).as_ref() != Some(&postgres.pg_config))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut init = workspace.cargo();
    init.args(["pgrx", "init", "--no-run"]);
    for postgres in unknown {
        init.arg(format!("--{}", postgres.major.feature()))
            .arg(&postgres.pg_config);
    }
    Output::Shown
        .run(init)
        .context("cannot tell pgrx of PostgreSQL")?;
    for postgres in installations {
        ensure!(
            pg::pgrx_entry(postgres.major).as_ref() == Some(&postgres.pg_config),
            "pgrx did not register {}",
            postgres.pg_config.display()
        );
    }
    Ok(())
}
