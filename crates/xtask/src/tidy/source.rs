//! Rules on what source may name: other modules, pgrx, `unsafe`, version features, unfinished code.

use super::tokens::{Kind, Parsed, Token, closing};
use super::{SourceFile, Violation};

/// What a part of the extension may import from the extension.
struct Layer {
    area: &'static str,
    may: Names,
    reason: &'static str,
}

/// Names are modules of the root crate, or a module and what is in it (`pg::wait`).
enum Names {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

const LAYERS: &[Layer] = &[
    Layer {
        area: "src/pg",
        may: Names::Only(&["pg", "error"]),
        reason: "pg covers PostgreSQL for all layers and serves none in particular",
    },
    Layer {
        area: "src/runtime.rs",
        may: Names::AllBut(&["plan", "exec", "fdw", "functions", "session"]),
        reason: "the network thread serves the layers above it",
    },
    Layer {
        area: "src/error.rs",
        may: Names::AllBut(&["plan", "exec", "fdw", "functions", "session", "runtime"]),
        reason: "every layer may use error, so it uses none",
    },
    Layer {
        area: "src/connectors.rs",
        may: Names::AllBut(&["plan", "exec", "fdw", "functions", "session", "runtime"]),
        reason: "the registry lies below planning and execution",
    },
    Layer {
        area: "src/statistics.rs",
        may: Names::Only(&["pg", "error"]),
        reason: "every layer counts, so counting stands on none",
    },
    Layer {
        area: "src/progress.rs",
        may: Names::Only(&["pg", "guc", "error"]),
        reason: "execution tells its progress, so progress stands on none of it",
    },
    Layer {
        area: "src/session.rs",
        may: Names::AllBut(&["plan", "exec", "fdw", "functions"]),
        reason: "the session cache lies below planning and execution",
    },
    Layer {
        area: "src/plan",
        may: Names::Only(&[
            "plan",
            "pg",
            "options",
            "error",
            "guc",
            "connectors",
            "session",
        ]),
        reason: "planning knows nothing of execution and of callbacks",
    },
    Layer {
        area: "src/exec",
        may: Names::AllBut(&["fdw", "functions"]),
        reason: "execution is called by callbacks and functions, never the other way round",
    },
    Layer {
        area: "src/functions",
        may: Names::AllBut(&["fdw", "plan"]),
        reason: "SQL functions stand on exec, session and pg",
    },
];

/// In the network thread's file only these may be used of pg: they are written for that thread.
const RUNTIME: &str = "src/runtime.rs";
const RUNTIME_MAY: &[&str] = &["wait", "signals"];

/// Where `unsafe` is at home.
const UNSAFE_AREAS: &[&str] = &["src/pg", "src/fdw"];
/// Single files elsewhere that need it, each with the reason.
const UNSAFE_FILES: &[(&str, &str)] = &[(
    "src/backend_tests.rs",
    "tests compare with what the server's own functions answer",
)];

/// The only place that tells PostgreSQL versions apart.
const VERSIONS: &str = "src/pg/compat.rs";

/// Macros that mark unfinished work.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// Judges the tokens of one file.
pub fn check(file: &SourceFile, parsed: &Parsed) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |line: usize, what: String, reason: &'static str| {
        violations.push(Violation {
            file: file.path.clone(),
            line,
            what,
            reason,
        });
    };
    let in_extension = file.path.starts_with("src/");
    if in_extension {
        check_layers(file, parsed, &mut report);
    }
    let unsafe_allowed = UNSAFE_AREAS.iter().any(|area| file.is_in(area))
        || UNSAFE_FILES.iter().any(|(path, _)| file.path == *path);
    for (index, token) in parsed.tokens.iter().enumerate() {
        let rest = &parsed.tokens[index..];
        let Some(word) = token.word() else {
            if is_ignored_test(rest) {
                report(
                    token.line,
                    "an ignored test".to_owned(),
                    "a test that does not run proves nothing",
                );
            }
            continue;
        };
        if word == "unsafe" && !unsafe_allowed {
            report(
                token.line,
                "unsafe".to_owned(),
                "unsafe code lies in src/pg and src/fdw, where it can be reviewed together",
            );
        }
        if !in_extension && is_pgrx(word) && names_a_crate(&parsed.tokens, index) {
            report(
                token.line,
                format!("uses {word}"),
                "only the extension knows PostgreSQL; what is outside of src must run without it",
            );
        }
        if UNFINISHED.contains(&word) && rest.get(1).is_some_and(|next| next.is_sign('!')) {
            report(
                token.line,
                format!("{word}!"),
                "unfinished code is not committed",
            );
        }
        if word == "feature"
            && file.path != VERSIONS
            && let [
                _,
                equals,
                Token {
                    kind: Kind::Literal(value),
                    ..
                },
                ..,
            ] = rest
            && equals.is_sign('=')
            && is_version_feature(value)
        {
            report(
                token.line,
                format!("feature = {value}"),
                "versions of PostgreSQL are told apart in src/pg/compat.rs only, under names for what changed",
            );
        }
    }
    violations
}

fn check_layers(
    file: &SourceFile,
    parsed: &Parsed,
    report: &mut impl FnMut(usize, String, &'static str),
) {
    let references = references(&file.path, &parsed.tokens);
    for layer in LAYERS.iter().filter(|layer| file.is_in(layer.area)) {
        for reference in &references {
            let named = |names: &[&str]| names.contains(&reference.module.as_str());
            let allowed = match layer.may {
                Names::Only(names) => named(names),
                Names::AllBut(names) => !named(names),
            };
            if !allowed {
                report(
                    reference.line,
                    format!("uses crate::{}", reference.module),
                    layer.reason,
                );
            }
        }
    }
    if file.path != RUNTIME {
        return;
    }
    const REASON: &str = "PostgreSQL is touched by the backend thread only; the network thread is reached through pg::wait";
    for reference in references
        .iter()
        .filter(|reference| reference.module == "pg")
    {
        let item = reference.item.as_deref().unwrap_or("*");
        if !RUNTIME_MAY.contains(&item) {
            report(reference.line, format!("uses crate::pg::{item}"), REASON);
        }
    }
    for token in &parsed.tokens {
        if let Some(word) = token
            .word()
            .filter(|word| is_pgrx(word) || *word == "pg_sys")
        {
            report(token.line, format!("uses {word}"), REASON);
        }
    }
}

fn is_pgrx(word: &str) -> bool {
    word == "pgrx" || word.starts_with("pgrx_")
}

/// Tells a path from a variable that happens to have the name.
fn names_a_crate(tokens: &[Token], index: usize) -> bool {
    let followed = tokens.get(index + 1).is_some_and(|next| next.is_sign(':'))
        && tokens.get(index + 2).is_some_and(|next| next.is_sign(':'));
    let imported = index > 0 && tokens[index - 1].is_word("use");
    followed || imported
}

fn is_version_feature(literal: &str) -> bool {
    literal
        .trim_matches('"')
        .strip_prefix("pg")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `#[ignore]`, `#[ignore = "…"]` and `#[cfg_attr(…, ignore)]`.
fn is_ignored_test(rest: &[Token]) -> bool {
    let [hash, open, name, ..] = rest else {
        return false;
    };
    if !hash.is_sign('#') || !open.is_sign('[') {
        return false;
    }
    let conditional = name.is_word("cfg_attr")
        && closing(rest, 1)
            .is_some_and(|end| rest[3..end].iter().any(|token| token.is_word("ignore")));
    name.is_word("ignore") || conditional
}

/// A path into the root crate.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    /// The first name after `crate::`.
    module: String,
    /// The name after that.
    item: Option<String>,
    line: usize,
}

/// Every path that starts with `crate` or `super`, in imports and in code.
fn references(path: &str, tokens: &[Token]) -> Vec<Reference> {
    let file_module = module_of(path);
    let mut found = Vec::new();
    let mut inline: Vec<usize> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let token = &tokens[index];
        while inline.last().is_some_and(|end| index > *end) {
            inline.pop();
            names.pop();
        }
        if token.is_word("mod")
            && let (Some(name), Some(open)) = (
                tokens.get(index + 1).and_then(Token::word),
                tokens.get(index + 2),
            )
            && open.is_sign('{')
            && let Some(end) = closing(tokens, index + 2)
        {
            inline.push(end);
            names.push(name.to_owned());
        }
        let here = || {
            file_module
                .iter()
                .chain(&names)
                .cloned()
                .collect::<Vec<_>>()
        };
        // A path in the middle of another (`a::crate`) does not exist; `self::super::x` does.
        if token.is_word("crate") && is_path_separator(tokens, index + 1) {
            leaves(tokens, index + 3, &[], &mut found);
        } else if token.is_word("super") && is_path_separator(tokens, index + 1) {
            let mut base = here();
            let mut next = index;
            while tokens.get(next).is_some_and(|token| token.is_word("super"))
                && is_path_separator(tokens, next + 1)
            {
                base.pop();
                next += 3;
            }
            leaves(tokens, next, &base, &mut found);
            index = next;
            continue;
        }
        index += 1;
    }
    found
}

/// The module a file of the extension is: `src/plan/qual.rs` is `plan::qual`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    if inner == "lib" {
        return Vec::new();
    }
    inner.split('/').map(str::to_owned).collect()
}

/// Follows a path from `index` on, into braces, and records the first two names below the crate.
fn leaves(tokens: &[Token], index: usize, prefix: &[String], found: &mut Vec<Reference>) {
    let Some(token) = tokens.get(index) else {
        return;
    };
    if token.is_sign('{') {
        let Some(end) = closing(tokens, index) else {
            return;
        };
        let mut start = index + 1;
        while start < end {
            leaves(tokens, start, prefix, found);
            start = next_in_list(tokens, start, end);
        }
        return;
    }
    let name = match &token.kind {
        Kind::Word(name) => name.clone(),
        Kind::Sign('*') => "*".to_owned(),
        _ => return,
    };
    let mut path = prefix.to_vec();
    if name != "self" {
        path.push(name);
    }
    if path.len() < 2 && is_path_separator(tokens, index + 1) {
        leaves(tokens, index + 3, &path, found);
        return;
    }
    let mut path = path.into_iter();
    if let Some(module) = path.next() {
        found.push(Reference {
            module,
            item: path.next(),
            line: token.line,
        });
    }
}

/// The start of the next element of a list that ends at `end`.
fn next_in_list(tokens: &[Token], start: usize, end: usize) -> usize {
    let mut index = start;
    while index < end {
        if tokens[index].is_sign(',') {
            return index + 1;
        }
        index = match tokens[index].kind {
            Kind::Sign('{' | '(' | '[') => closing(tokens, index).map_or(end, |close| close + 1),
            _ => index + 1,
        };
    }
    end
}

fn is_path_separator(tokens: &[Token], index: usize) -> bool {
    tokens.get(index).is_some_and(|token| token.is_sign(':'))
        && tokens
            .get(index + 1)
            .is_some_and(|token| token.is_sign(':'))
}

#[cfg(test)]
mod tests {
    use super::super::examples::judge;
    use super::super::tokens;
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(judge(path, text), expected, "{path}\n{text}");
    }

    #[test]
    fn every_layer_refuses_what_is_above_it() {
        let cases = [
            ("src/pg/slot.rs", "options"),
            ("src/runtime.rs", "exec"),
            ("src/error.rs", "session"),
            ("src/connectors.rs", "plan"),
            ("src/statistics.rs", "session"),
            ("src/progress.rs", "exec"),
            ("src/session.rs", "exec"),
            ("src/plan/qual.rs", "exec"),
            ("src/exec/scan.rs", "fdw"),
            ("src/functions/sync.rs", "fdw"),
        ];
        assert_eq!(cases.len(), LAYERS.len(), "an example for each row");
        for (path, above) in cases {
            let broken = format!("use crate::{above}::Thing;\n");
            check(path, &broken, &[&format!("1: uses crate::{above}")]);
            check(path, "use crate::error::Error;\n", &[]);
        }
    }

    #[test]
    fn imports_are_followed_into_braces() {
        let text =
            "use crate::{\n    pg::{expr, list},\n    exec::{self, scan::Scan},\n    fdw,\n};\n";
        check(
            "src/plan/qual.rs",
            text,
            &[
                "3: uses crate::exec",
                "3: uses crate::exec",
                "4: uses crate::fdw",
            ],
        );
    }

    #[test]
    fn paths_in_code_and_macros_count() {
        check(
            "src/exec/scan.rs",
            "fn f() { crate::fdw::g(); }\n",
            &["1: uses crate::fdw"],
        );
        check(
            "src/exec/scan.rs",
            "fn f() { g!(crate::fdw::h()); }\n",
            &["1: uses crate::fdw"],
        );
        check(
            "src/exec/scan.rs",
            "// crate::fdw\npub(crate) fn f() {}\n",
            &[],
        );
    }

    #[test]
    fn super_is_resolved() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let parsed = tokens::parse(text).unwrap();
            let found: Vec<String> = references(path, &parsed.tokens)
                .into_iter()
                .map(|r| {
                    r.item
                        .map_or(r.module.clone(), |item| format!("{}::{item}", r.module))
                })
                .collect();
            assert_eq!(found, expected, "{path} {text}");
        };
        check("src/plan/qual.rs", "use super::cost;", &["plan::cost"]);
        check(
            "src/plan/qual.rs",
            "use super::super::exec::scan;",
            &["exec::scan"],
        );
        check("src/plan/mod.rs", "use super::exec;", &["exec"]);
        check(
            "src/plan/qual.rs",
            "mod tests { use super::super::cost; } use super::x;",
            &["plan::cost", "plan::x"],
        );
        check("src/plan/qual.rs", "use crate::plan::*;", &["plan::*"]);
    }

    #[test]
    fn the_network_thread_knows_no_postgresql() {
        let runtime = "src/runtime.rs";
        check(runtime, "use crate::pg::wait::Doorbell;\n", &[]);
        check(
            runtime,
            "use crate::pg::slot;\n",
            &["1: uses crate::pg::slot"],
        );
        check(
            runtime,
            "use crate::pg::{wait, list};\n",
            &["1: uses crate::pg::list"],
        );
        check(runtime, "use pgrx::prelude::*;\n", &["1: uses pgrx"]);
    }

    #[test]
    fn pgrx_stays_in_the_extension() {
        check(
            "crates/crm-http/src/lib.rs",
            "use pgrx::info;\n",
            &["1: uses pgrx"],
        );
        check(
            "sandbox/src/main.rs",
            "fn f() { pgrx::info!(\"\"); }\n",
            &["1: uses pgrx"],
        );
        check(
            "crates/xtask/src/setup.rs",
            "fn f() { let pgrx = 1; }\n",
            &[],
        );
        check("src/lib.rs", "use pgrx::prelude::*;\n", &[]);
    }

    #[test]
    fn unsafe_is_at_home_in_two_folders() {
        let text = "fn f() { unsafe { g() } }\n";
        check("src/pg/slot.rs", text, &[]);
        check("src/fdw/callbacks.rs", text, &[]);
        check("src/exec/scan.rs", text, &["1: unsafe"]);
        check("tests/tests/cancel.rs", text, &["1: unsafe"]);
        check("src/exec/scan.rs", "#![deny(unsafe_code)]\n", &[]);
    }

    #[test]
    fn versions_are_told_apart_in_one_file() {
        let text = "#[cfg(feature = \"pg15\")]\nfn f() {}\n";
        check("src/pg/compat.rs", text, &[]);
        check("src/pg/slot.rs", text, &["1: feature = \"pg15\""]);
        check(
            "src/plan/qual.rs",
            "fn f() -> bool { cfg!(any(feature = \"pg18\")) }\n",
            &["1: feature = \"pg18\""],
        );
        check(
            "src/plan/qual.rs",
            "#[cfg(feature = \"pg_test\")]\nfn f() {}\n",
            &[],
        );
    }

    #[test]
    fn unfinished_code_is_refused() {
        check(
            "crates/crm-core/src/page.rs",
            "fn f() { todo!() }\n",
            &["1: todo!"],
        );
        check(
            "crates/crm-core/src/page.rs",
            "fn f() { dbg!(1); }\n",
            &["1: dbg!"],
        );
        check(
            "crates/crm-core/src/page.rs",
            "fn f() { let todo = 1; }\n",
            &[],
        );
    }

    #[test]
    fn ignored_tests_are_refused() {
        let path = "tests/tests/cancel.rs";
        check(
            path,
            "#[test]\n#[ignore]\nfn f() {}\n",
            &["2: an ignored test"],
        );
        check(
            path,
            "#[ignore = \"slow\"]\nfn f() {}\n",
            &["1: an ignored test"],
        );
        check(
            path,
            "#[cfg_attr(unix, ignore)]\nfn f() {}\n",
            &["1: an ignored test"],
        );
        check(path, "#[test]\nfn ignore() {}\n", &[]);
    }
}
