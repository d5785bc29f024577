//! `cargo xtask test`: every check of the project, in the order quick to slow, and a summary.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use cargo_metadata::TargetKind;

use crate::clients::{self, Language};
use crate::cluster::{Access, Cluster};
use crate::pg::{Major, Postgres};
use crate::proc::Output;
use crate::report::{self, Line, Outcome};
use crate::sandbox::{self, Sandbox};
use crate::setup::{self, Ready};
use crate::workspace::Workspace;
use crate::{extension, regress, tidy};

/// The package of the tests that need a sandbox or a server, and its tests that need no server.
const TESTS: &str = "crm-tests";
const SERVERLESS: [&str; 2] = ["contract", "on_premise"];

fn is_serverless(test: &str) -> bool {
    SERVERLESS.contains(&test)
}

/// A part of the checks that can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Part {
    /// Formatting, lints and layering.
    Style,
    /// Tests of the crates and the sandbox, without a server.
    Unit,
    /// Foreign clients against the sandbox, connectors against the sandbox.
    Contract,
    /// Tests that run inside a PostgreSQL backend.
    PgTest,
    /// SQL files and what they should print.
    Regress,
    /// A client, a server and a sandbox.
    Integration,
}

/// What to run.
pub struct Plan {
    /// PostgreSQL versions, in this order.
    pub majors: Vec<Major>,
    /// One part, or all.
    pub only: Option<Part>,
    /// Take the output of the regression tests as expected.
    pub bless: bool,
}

/// Runs the plan to its end, whatever fails on the way.
///
/// # Errors
/// Fails when a stage failed or this machine cannot be made ready.
pub fn run(workspace: &Workspace, plan: Plan) -> Result<()> {
    // Linting the extension needs the headers of every version.
    let majors = if plan.wants_servers() || plan.wants(Part::Style) {
        &plan.majors[..]
    } else {
        &[]
    };
    let ready = setup::ensure_ready(workspace, majors)?;
    let mut run = Run {
        workspace,
        plan: &plan,
        ready: &ready,
        lines: Vec::new(),
        sandbox: None,
    };
    run.style();
    run.unit();
    run.contract();
    for postgres in &ready.installations {
        run.server(postgres);
    }
    report::summarise(&run.lines)
}

impl Plan {
    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    fn wants_servers(&self) -> bool {
        [Part::PgTest, Part::Regress, Part::Integration]
            .into_iter()
            .any(|part| self.wants(part))
    }
}

struct Run<'a> {
    workspace: &'a Workspace,
    plan: &'a Plan,
    ready: &'a Ready,
    lines: Vec<Line>,
    /// The sandbox's program once it is built; `Some(None)` when that failed.
    sandbox: Option<Option<PathBuf>>,
}

impl Run<'_> {
    fn style(&mut self) {
        if !self.plan.wants(Part::Style) {
            return;
        }
        let workspace = self.workspace;
        self.stage("format", |output| {
            let mut fmt = workspace.cargo();
            fmt.args(["fmt", "--all", "--check"]);
            output.run(fmt)
        });
        self.stage("tidy", |output| tidy::run(workspace, output));
        self.stage("clippy", |output| {
            let mut clippy = workspace.cargo();
            clippy.args(["clippy", "--workspace", "--exclude", extension::PACKAGE]);
            clippy.args(["--all-targets", "--quiet", "--", "--deny", "warnings"]);
            output.run(clippy)
        });
        for postgres in &self.ready.installations {
            let feature = postgres.major.feature();
            self.stage(&format!("clippy {feature}"), |output| {
                let mut clippy = workspace.cargo();
                // The release profile shares the bindings with the builds that follow.
                clippy.args(["clippy", "--release", "--package", extension::PACKAGE]);
                clippy.args([
                    "--no-default-features",
                    "--features",
                    &format!("{feature} pg_test"),
                ]);
                clippy.args(["--all-targets", "--quiet", "--", "--deny", "warnings"]);
                output.run(clippy)
            });
        }
    }

    fn unit(&mut self) {
        if !self.plan.wants(Part::Unit) {
            return;
        }
        let workspace = self.workspace;
        self.stage("unit", |output| {
            let mut test = workspace.cargo();
            test.args(["test", "--workspace", "--no-fail-fast"]);
            test.args(["--exclude", extension::PACKAGE, "--exclude", TESTS]);
            output.run(test)
        });
    }

    fn contract(&mut self) {
        if !self.plan.wants(Part::Contract) {
            return;
        }
        for language in Language::ALL {
            self.clients(language);
        }
        let workspace = self.workspace;
        let mut targets = self.test_targets();
        targets.retain(|name| is_serverless(name));
        if targets.is_empty() {
            self.skip("contract", "there are no such tests");
            return;
        }
        self.stage("contract", |output| {
            let mut test = workspace.cargo();
            test.args(["test", "--release", "--package", TESTS, "--no-fail-fast"]);
            for target in &targets {
                test.args(["--test", target]);
            }
            output.run(test)
        });
    }

    fn clients(&mut self, language: Language) {
        let (workspace, user, name) = (self.workspace, &self.ready.user, language.stage());
        let scripts = clients::scripts(&workspace.root, language);
        if matches!(&scripts, Ok(scripts) if scripts.is_empty()) {
            self.skip(name, "there are none");
            return;
        }
        if let Some(program) = language.missing() {
            self.skip(name, &format!("{program} is not installed"));
            return;
        }
        let Some(program) = self.sandbox_program(name) else {
            return;
        };
        self.counted_stage(name, |output| {
            let runner = clients::prepare(&workspace.root, language, output)?;
            let mut counts = (0, 0);
            for script in scripts? {
                // Each begins with the same data.
                let sandbox = Sandbox::start(&program, user, &[])?;
                match clients::run(&runner, &script, &sandbox, output) {
                    Ok(()) => counts.0 += 1,
                    Err(error) => {
                        counts.1 += 1;
                        output.note(&format!("{error:#}"))?;
                    }
                }
            }
            Ok(Some(counts))
        });
    }

    /// The tests with a server come before the installation, since they install a build of their own.
    fn server(&mut self, postgres: &Postgres) {
        let (workspace, user, plan) = (self.workspace, &self.ready.user, self.plan);
        let feature = postgres.major.feature();
        if !plan.wants_servers() {
            return;
        }
        let _reserved = match postgres.reserve() {
            Ok(reserved) => reserved,
            Err(error) => {
                self.stage(&format!("reserve {feature}"), |_| Err(error));
                return;
            }
        };
        if plan.wants(Part::PgTest) {
            self.stage(&format!("pg_test {feature}"), |output| {
                extension::pg_test(workspace, postgres, user, output)
            });
        }
        if !plan.wants(Part::Regress) && !plan.wants(Part::Integration) {
            return;
        }
        let Some(program) = self.sandbox_program(&format!("regress and integration {feature}"))
        else {
            return;
        };
        let installed = self.stage(&format!("install {feature}"), |output| {
            extension::install(workspace, postgres, output)
        });
        if !installed {
            self.skip(
                &format!("regress and integration {feature}"),
                "not installed",
            );
            return;
        }
        if plan.wants(Part::Regress) {
            self.counted_stage(&format!("regress {feature}"), |output| {
                let sandbox = Sandbox::start(&program, user, &[])?;
                let cluster = Cluster::start(postgres, user, Access::Open, &[])?;
                let inputs = workspace.root.join("pg_regress");
                let results = workspace.scratch().join(format!("regress-{feature}"));
                let counts =
                    regress::run(&cluster, &sandbox, &inputs, &results, plan.bless, output);
                let failed = !counts.as_ref().is_ok_and(|counts| counts.failed == 0);
                if failed {
                    keep_server_log(workspace, &cluster, &format!("regress-{feature}"), output)?;
                }
                counts.map(|counts| Some((counts.passed, counts.failed)))
            });
        }
        if plan.wants(Part::Integration) {
            self.integration(postgres, &program);
        }
    }

    fn integration(&mut self, postgres: &Postgres, program: &Path) {
        let (workspace, user) = (self.workspace, &self.ready.user);
        let feature = postgres.major.feature();
        let name = format!("integration {feature}");
        let targets: Vec<String> = self
            .test_targets()
            .into_iter()
            .filter(|name| !is_serverless(name))
            .collect();
        if targets.is_empty() {
            self.skip(&name, "there are none");
            return;
        }
        self.stage(&name, |output| {
            let python = clients::prepare(&workspace.root, Language::Python, output)?;
            let sandbox = Sandbox::start(program, user, &[])?;
            // Everything is logged, so that a test can see that no secret is.
            let settings = [("log_min_messages", "debug5")];
            let cluster = Cluster::start(postgres, user, Access::Open, &settings)?;
            let mut test = workspace.cargo();
            test.args(["test", "--release", "--package", TESTS, "--no-fail-fast"]);
            for target in &targets {
                test.args(["--test", target]);
            }
            test.args(["--", "--show-output"]);
            test.env("CRM_TEST_DSN", cluster.dsn("postgres"))
                .env("CRM_TEST_PG_LOG", cluster.log())
                .env("CRM_TEST_PG_BIN", &postgres.bin)
                .env("CRM_TEST_PG_MAJOR", postgres.major.to_string())
                .env("CRM_SANDBOX_BIN", program)
                .env("CRM_TEST_PYTHON", python.program())
                .envs(sandbox.environment());
            let outcome = output.run(test);
            if outcome.is_err() {
                keep_server_log(
                    workspace,
                    &cluster,
                    &format!("integration-{feature}"),
                    output,
                )?;
            }
            outcome
        });
    }

    /// Builds the sandbox at its first use; says which stage falls out when it does not build.
    fn sandbox_program(&mut self, needed_by: &str) -> Option<PathBuf> {
        if self.sandbox.is_none() {
            let workspace = self.workspace;
            let mut program = None;
            self.stage("sandbox", |output| {
                program = Some(sandbox::build(workspace, output)?);
                Ok(())
            });
            self.sandbox = Some(program);
        }
        let program = self.sandbox.clone().flatten();
        if program.is_none() {
            self.skip(needed_by, "no sandbox");
        }
        program
    }

    /// The test targets of the package of tests.
    fn test_targets(&self) -> Vec<String> {
        self.workspace
            .metadata
            .packages
            .iter()
            .filter(|package| package.name == TESTS)
            .flat_map(|package| &package.targets)
            .filter(|target| target.kind.contains(&TargetKind::Test))
            .map(|target| target.name.clone())
            .collect()
    }

    /// A stage whose tests are counted from what cargo's test runner printed.
    fn stage(&mut self, name: &str, body: impl FnOnce(&Output) -> Result<()>) -> bool {
        self.counted_stage(name, |output| body(output).map(|()| None))
    }

    /// A stage that may count its tests itself: passed, failed.
    fn counted_stage(
        &mut self,
        name: &str,
        body: impl FnOnce(&Output) -> Result<Option<(usize, usize)>>,
    ) -> bool {
        report::begin(name);
        let started = Instant::now();
        let log = self
            .workspace
            .scratch()
            .join("log")
            .join(format!("{}.log", name.replace(' ', "-")));
        let outcome = Output::logged(log.clone()).and_then(|output| body(&output));
        let text = std::fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let counted = outcome.as_ref().ok().copied().flatten();
        let (passed, failed) = counted.unwrap_or_else(|| report::count_cargo_tests(&text));
        let outcome = match outcome {
            Ok(_) if failed == 0 => Outcome::Passed,
            Ok(_) => Outcome::Failed(format!("{failed} failed")),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let line = Line {
            name: name.to_owned(),
            outcome,
            passed,
            failed,
            took: started.elapsed(),
        };
        report::end(&line, &text, &log);
        let well = matches!(line.outcome, Outcome::Passed);
        self.lines.push(line);
        well
    }

    fn skip(&mut self, name: &str, reason: &str) {
        let outcome = Outcome::Skipped(reason.to_owned());
        let line = Line {
            name: name.to_owned(),
            outcome,
            passed: 0,
            failed: 0,
            took: Duration::ZERO,
        };
        report::begin(name);
        report::end(&line, "", Path::new(""));
        self.lines.push(line);
    }
}

/// The server and its folder are gone before anyone reads the report, so its log is kept apart.
fn keep_server_log(
    workspace: &Workspace,
    cluster: &Cluster,
    name: &str,
    output: &Output,
) -> Result<()> {
    let place = workspace
        .scratch()
        .join("log")
        .join(format!("{name}-server.log"));
    let tail = cluster.keep_log(&place, 40)?;
    output.note(&format!("server log: {}\n{tail}", place.display()))
}
