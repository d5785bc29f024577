//! The project's own commands, called as `cargo xtask <command>`.
//!
//! This program builds, starts and stops things; it never links the extension or a connector.

mod bench;
mod cleanup;
mod clients;
mod cluster;
mod demo;
mod extension;
mod packages;
mod pg;
mod proc;
mod regress;
mod report;
mod sandbox;
mod setup;
mod test;
mod tidy;
mod user;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::pg::Major;
use crate::proc::Output;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Build, try and check crm_fdw",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check what this machine needs and install what is missing
    Setup {
        /// PostgreSQL versions, with commas
        #[arg(long, value_delimiter = ',', default_values_t = Major::TESTED)]
        pg: Vec<Major>,
    },
    /// Take the guided tour against a private server and the sandbox
    Demo {
        /// End after the tour instead of opening a prompt
        #[arg(long)]
        batch: bool,
        /// PostgreSQL version
        #[arg(long, default_value_t = Major(15))]
        pg: Major,
        /// Number of contacts in the sandbox
        #[arg(long)]
        contacts: Option<u64>,
    },
    /// Run the sandbox alone until Ctrl-C
    Sandbox {
        /// Passed on to crm-sandbox
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure crm_fdw and what people use today side by side, and write docs/benchmarks.md
    Bench(bench::Arguments),
    /// Check that the layers of the code keep to themselves
    Tidy,
    /// Run every check, or one part of them
    Test {
        /// PostgreSQL versions, with commas
        #[arg(long, value_delimiter = ',', default_values_t = Major::TESTED)]
        pg: Vec<Major>,
        /// Only this part
        #[arg(long)]
        only: Option<test::Part>,
        /// Take what the regression tests print as what is expected
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    cleanup::watch_signals()?;
    let workspace = Workspace::load()?;
    match task {
        Task::Setup { pg } => {
            let ready = setup::ensure_ready(&workspace, &pg)?;
            for postgres in &ready.installations {
                println!(
                    "PostgreSQL {}: {}",
                    postgres.major,
                    postgres.pg_config.display()
                );
            }
            println!("ready; servers run as {}", ready.user.name());
            Ok(())
        }
        Task::Demo {
            batch,
            pg,
            contacts,
        } => demo::run(&workspace, pg, contacts, batch),
        Task::Sandbox { arguments } => sandbox::run(&workspace, &arguments),
        Task::Bench(arguments) => bench::run(&workspace, &arguments),
        Task::Tidy => tidy::run(&workspace, &Output::Shown),
        Task::Test { pg, only, bless } => test::run(
            &workspace,
            test::Plan {
                majors: pg,
                only,
                bless,
            },
        ),
    }
}
