//! Rules on what packages may depend on.

use cargo_metadata::DependencyKind;

use super::Violation;
use crate::workspace::Workspace;

/// A member of the workspace, as far as the rules need it.
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its manifest, from the root of the repository.
    pub manifest: String,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
}

/// A line of a `dependencies` table.
pub struct Dependency {
    /// The package depended on.
    pub name: String,
    /// Whether it is another member of the workspace.
    pub is_member: bool,
    /// Whether only tests see it.
    pub for_tests: bool,
}

/// What a member may depend on.
struct Rule {
    applies: fn(&Member) -> bool,
    /// Whether the dependency is allowed.
    allows: fn(&Dependency) -> bool,
    reason: &'static str,
}

const CORE: &str = "crm-core";
const HTTP: &str = "crm-http";
const XML: &str = "crm-xml";
const EXPORT: &str = "crm-export";
const JOURNAL: &str = "crm-journal";
const SANDBOX: &str = "crm-sandbox";
const EXTENSION: &str = "crm_fdw";
/// Holds features for cargo and no code.
const FEATURES: &str = "crm-features";

/// Crates for the vocabulary: they hold, read or write data, and reach neither network nor server.
const SMALL_DATA_CRATES: &[&str] = &[
    "async-trait",
    "base64",
    "bytes",
    "chrono",
    "chrono-tz",
    "futures-core",
    "indexmap",
    "memchr",
    "once_cell",
    "percent-encoding",
    "rust_decimal",
    "secrecy",
    "serde",
    "serde_json",
    "smallvec",
    "strsim",
    "thiserror",
    "url",
    "uuid",
    "zeroize",
];

const RULES: &[Rule] = &[
    Rule {
        applies: |member| member.name == CORE,
        allows: |dependency| {
            !dependency.is_member
                && (dependency.for_tests || SMALL_DATA_CRATES.contains(&dependency.name.as_str()))
        },
        reason: "the vocabulary stands on std and small data crates only",
    },
    Rule {
        applies: |member| member.name == HTTP,
        allows: |dependency| !dependency.is_member || dependency.name == CORE,
        reason: "crm-http knows the vocabulary and HTTP, no CRM",
    },
    Rule {
        applies: |member| member.name == XML,
        allows: |dependency| !dependency.is_member || dependency.name == CORE,
        reason: "crm-xml knows the vocabulary and XML, no CRM",
    },
    Rule {
        applies: |member| member.name == JOURNAL,
        allows: |dependency| !dependency.is_member || dependency.name == CORE,
        reason: "the journal keeps what became of records, whatever CRM they went to",
    },
    Rule {
        applies: |member| member.name == EXPORT,
        allows: |dependency| !dependency.is_member || [CORE, JOURNAL].contains(&&*dependency.name),
        reason: "an export works over any connector and knows none",
    },
    Rule {
        applies: is_connector,
        allows: |dependency| {
            !dependency.is_member || [CORE, HTTP, XML].contains(&&*dependency.name)
        },
        reason: "a connector stands on crm-core, crm-http and crm-xml and never on another connector",
    },
    Rule {
        applies: |member| member.name != EXTENSION,
        allows: |dependency| dependency.name != "pgrx" && !dependency.name.starts_with("pgrx-"),
        reason: "only the extension knows PostgreSQL",
    },
    Rule {
        applies: |member| member.name == SANDBOX,
        allows: |dependency| !dependency.is_member || dependency.name == FEATURES,
        reason: "the sandbox shares no code with what it tests, so that one misreading of a vendor cannot be made twice and pass",
    },
    Rule {
        applies: |member| member.name == FEATURES,
        allows: |dependency| !dependency.is_member,
        reason: "a list of features stands on nothing of this repository",
    },
    Rule {
        applies: |member| member.name == "crm-tests",
        allows: |dependency| {
            !dependency.is_member || ![EXTENSION, "xtask"].contains(&&*dependency.name)
        },
        reason: "the tests are a client of the server; the extension is reached through SQL",
    },
    Rule {
        applies: |member| member.name == "xtask",
        allows: |dependency| !dependency.is_member,
        reason: "xtask builds the other packages, so it needs none of them",
    },
    Rule {
        applies: |member| member.name == EXTENSION,
        allows: |dependency| !dependency.is_member || is_library_of_extension(&dependency.name),
        reason: "the extension stands on the crates below it, not on sandbox or tests",
    },
];

/// Packages that must not be anywhere in the tree, with the reason.
const UNWANTED: &[(&str, &str)] = &[
    ("openssl-sys", "there is one TLS stack, rustls"),
    ("native-tls", "there is one TLS stack, rustls"),
    ("aws-lc-sys", "there is one provider of cryptography, ring"),
];

/// The members of `workspace`.
pub fn from_workspace(workspace: &Workspace) -> Vec<Member> {
    let packages = &workspace.metadata.packages;
    packages
        .iter()
        .map(|package| {
            let root = &workspace.metadata.workspace_root;
            let manifest = package.manifest_path.strip_prefix(root);
            Member {
                name: package.name.to_string(),
                manifest: manifest.unwrap_or(&package.manifest_path).to_string(),
                dependencies: package
                    .dependencies
                    .iter()
                    .map(|dependency| Dependency {
                        name: dependency.name.clone(),
                        is_member: dependency.name != *package.name
                            && packages.iter().any(|other| other.name == dependency.name),
                        for_tests: dependency.kind == DependencyKind::Development,
                    })
                    .collect(),
            }
        })
        .collect()
}

/// Judges every dependency of every member.
pub fn check(members: &[Member]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in members {
        for rule in RULES.iter().filter(|rule| (rule.applies)(member)) {
            for dependency in member
                .dependencies
                .iter()
                .filter(|line| !(rule.allows)(line))
            {
                violations.push(Violation {
                    file: member.manifest.clone(),
                    line: 0,
                    what: format!("{} depends on {}", member.name, dependency.name),
                    reason: rule.reason,
                });
            }
        }
    }
    violations
}

/// Judges the packages named in the text of `Cargo.lock`.
pub fn check_lock(lock: &str) -> Vec<Violation> {
    let names = lock
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("name = ")?)));
    names
        .filter_map(|(line, name)| {
            let name = name.trim_matches('"');
            let (_, reason) = UNWANTED.iter().find(|(unwanted, _)| *unwanted == name)?;
            Some(Violation {
                file: "Cargo.lock".to_owned(),
                line,
                what: format!("{name} is built in"),
                reason,
            })
        })
        .collect()
}

fn is_connector(member: &Member) -> bool {
    member.manifest.starts_with("crates/crm-")
        && ![CORE, EXPORT, FEATURES, HTTP, JOURNAL, XML].contains(&&*member.name)
}

fn is_library_of_extension(name: &str) -> bool {
    name.starts_with("crm-") && ![SANDBOX, "crm-tests"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, folder: &str, dependencies: &[(&str, bool)]) -> Member {
        let dependencies = dependencies
            .iter()
            .map(|(name, for_tests)| Dependency {
                name: (*name).to_owned(),
                is_member: name.starts_with("crm") || *name == "xtask",
                for_tests: *for_tests,
            })
            .collect();
        Member {
            name: name.to_owned(),
            manifest: format!("{folder}Cargo.toml"),
            dependencies,
        }
    }

    fn check_one(name: &str, folder: &str, dependencies: &[(&str, bool)], refused: &[&str]) {
        let found: Vec<String> = check(&[member(name, folder, dependencies)])
            .into_iter()
            .map(|v| v.what)
            .collect();
        let expected: Vec<String> = refused
            .iter()
            .map(|dependency| format!("{name} depends on {dependency}"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_vocabulary_takes_small_data_crates_only() {
        let lines = [
            ("chrono", false),
            ("tokio", false),
            ("proptest", true),
            ("crm-http", true),
        ];
        check_one(
            "crm-core",
            "crates/crm-core/",
            &lines,
            &["tokio", "crm-http"],
        );
    }

    #[test]
    fn the_http_layer_knows_no_crm() {
        let lines = [
            ("crm-core", false),
            ("reqwest", false),
            ("crm-salesforce", false),
        ];
        check_one("crm-http", "crates/crm-http/", &lines, &["crm-salesforce"]);
    }

    #[test]
    fn the_journal_knows_the_vocabulary_alone() {
        let lines = [
            ("crm-core", false),
            ("sha2", false),
            ("crm-http", false),
            ("crm-sandbox", true),
        ];
        check_one(
            "crm-journal",
            "crates/crm-journal/",
            &lines,
            &["crm-http", "crm-sandbox"],
        );
        check_one(
            "crm-salesforce",
            "crates/crm-salesforce/",
            &[("crm-journal", false)],
            &["crm-journal"],
        );
    }

    #[test]
    fn an_export_knows_no_connector() {
        let lines = [
            ("crm-core", false),
            ("crm-journal", false),
            ("uuid", false),
            ("crm-http", false),
            ("crm-salesforce", true),
        ];
        check_one(
            "crm-export",
            "crates/crm-export/",
            &lines,
            &["crm-http", "crm-salesforce"],
        );
    }

    #[test]
    fn a_connector_knows_no_other() {
        let lines = [
            ("crm-core", false),
            ("crm-http", false),
            ("csv", false),
            ("crm-salesforce", true),
        ];
        check_one(
            "crm-dynamics",
            "crates/crm-dynamics/",
            &lines,
            &["crm-salesforce"],
        );
        check_one(
            "crm-dynamics",
            "crates/crm-dynamics/",
            &[("crm-sandbox", true)],
            &["crm-sandbox"],
        );
    }

    #[test]
    fn pgrx_is_for_the_extension() {
        check_one(
            "crm-http",
            "crates/crm-http/",
            &[("pgrx", false)],
            &["pgrx"],
        );
        check_one(
            "crm-sandbox",
            "sandbox/",
            &[("pgrx-pg-config", false)],
            &["pgrx-pg-config"],
        );
        check_one(
            "crm-tests",
            "tests/",
            &[("pgrx-tests", true)],
            &["pgrx-tests"],
        );
        check_one("crm_fdw", "", &[("pgrx", false), ("pgrx-tests", true)], &[]);
    }

    #[test]
    fn the_sandbox_shares_nothing() {
        let lines = [
            ("axum", false),
            ("crm-features", false),
            ("crm-core", false),
            ("crm-salesforce", true),
        ];
        check_one(
            "crm-sandbox",
            "sandbox/",
            &lines,
            &["crm-core", "crm-salesforce"],
        );
    }

    #[test]
    fn the_tests_are_a_client() {
        let lines = [
            ("crm-sandbox", false),
            ("crm-salesforce", false),
            ("crm_fdw", true),
        ];
        check_one("crm-tests", "tests/", &lines, &["crm_fdw"]);
    }

    #[test]
    fn xtask_needs_no_member() {
        check_one(
            "xtask",
            "crates/xtask/",
            &[("clap", false), ("crm-core", false)],
            &["crm-core"],
        );
    }

    #[test]
    fn the_extension_stands_on_crates() {
        let lines = [
            ("crm-core", false),
            ("crm-dynamics", false),
            ("crm-sandbox", true),
        ];
        check_one("crm_fdw", "", &lines, &["crm-sandbox"]);
    }

    #[test]
    fn a_second_tls_stack_is_refused() {
        let lock = "[[package]]\nname = \"rustls\"\n\n[[package]]\nname = \"native-tls\"\n";
        let found = check_lock(lock);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].line, found[0].what.as_str()),
            (5, "native-tls is built in")
        );
    }
}
