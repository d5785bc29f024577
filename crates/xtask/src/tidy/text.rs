//! Rules on lines of text: length of files, banners, words of a vendor.

use std::ops::RangeInclusive;

use super::{SourceFile, Violation};

/// A file longer than this cannot be read in one sitting.
const MAX_LINES: usize = 800;

/// Words that belong to one CRM, in lower case; any ending may follow.
const VENDOR_WORDS: &[&str] = &[
    "salesforce",
    "soql",
    "sobject",
    "systemmodstamp",
    "dynamics",
    "dataverse",
    "odata",
    "oracle",
    "siebel",
    "startrownum",
];
/// Where those words have no place.
const NEUTRAL_AREAS: &[(&str, &str)] = &[
    (
        "src",
        "the extension knows connectors only through src/connectors.rs",
    ),
    (
        "crates/crm-core",
        "the vocabulary is neutral: object, field, record, page, key, watermark",
    ),
];
/// The one file of the extension that names connectors.
const REGISTRY: &str = "src/connectors.rs";

/// Signs that banners are made of.
const BANNER_SIGNS: &[char] = &['-', '=', '*', '#', '~', '_', '/', '─', '═'];
const BANNER_LENGTH: usize = 4;

/// Judges the length of a file and its comments.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    let n_lines = file.text.lines().count();
    if n_lines > MAX_LINES {
        violations.push(Violation {
            file: file.path.clone(),
            line: 0,
            what: format!("{n_lines} lines, more than {MAX_LINES}"),
            reason: "a file is about one thing and can be read in one sitting",
        });
    }
    for (index, line) in file.text.lines().enumerate() {
        if is_banner(line) {
            violations.push(Violation {
                file: file.path.clone(),
                line: index + 1,
                what: "a section banner".to_owned(),
                reason: "a file that needs banners wants to be two files",
            });
        }
    }
    violations
}

/// Judges the words of a file; tests inside the extension may need a real wrapper.
pub fn check_vendor_words(
    file: &SourceFile,
    test_modules: &[RangeInclusive<usize>],
) -> Vec<Violation> {
    let Some((_, reason)) = NEUTRAL_AREAS.iter().find(|(area, _)| file.is_in(area)) else {
        return Vec::new();
    };
    if file.path == REGISTRY || file.path.ends_with("/tests.rs") || file.path.contains("/tests/") {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        if test_modules.iter().any(|module| module.contains(&number)) {
            continue;
        }
        if let Some(word) = vendor_word(line) {
            violations.push(Violation {
                file: file.path.clone(),
                line: number,
                what: format!("the vendor's word \"{word}\""),
                reason,
            });
        }
    }
    violations
}

/// A comment that begins with a row of the same sign.
fn is_banner(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    let comment = comment.trim_start_matches(['/', '!']).trim_start();
    // A comment of slashes only has lost them all by now.
    let slashes_only = comment.is_empty() && line.trim().len() > BANNER_LENGTH;
    let row = BANNER_SIGNS
        .iter()
        .any(|sign| comment.chars().take_while(|c| c == sign).count() >= BANNER_LENGTH);
    slashes_only || row
}

/// The first vendor's word that begins a word of `line`; `metadata` holds no `odata`, `ODataPath` does.
fn vendor_word(line: &str) -> Option<&'static str> {
    let lower = line.to_ascii_lowercase();
    VENDOR_WORDS.iter().copied().find(|word| {
        lower.match_indices(word).any(|(start, _)| {
            let before = line[..start].chars().next_back();
            let first = line[start..].chars().next();
            let in_camel_case =
                first.is_some_and(char::is_uppercase) && before.is_some_and(char::is_lowercase);
            before.is_none_or(|c| !c.is_alphabetic()) || in_camel_case
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::examples::judge;
    use super::*;

    #[test]
    fn long_files_are_refused() {
        let lines = |n: usize| "fn f() {}\n".repeat(n);
        assert_eq!(
            judge("crates/crm-http/src/retry.rs", &lines(MAX_LINES)),
            [""; 0]
        );
        let expected = [format!("0: {} lines, more than {MAX_LINES}", MAX_LINES + 1)];
        assert_eq!(
            judge("crates/crm-http/src/retry.rs", &lines(MAX_LINES + 1)),
            expected
        );
    }

    #[test]
    fn banners_are_refused() {
        let check = |line: &str, banner: bool| assert_eq!(is_banner(line), banner, "{line}");
        check("// ----", true);
        check("    // ==== Scans ====", true);
        check("//------", true);
        check("////////", true);
        check("/// # Errors", false);
        check("/// | a | b |", false);
        check("// - an item", false);
        check("///", false);
        check("let a = 1; // ---- late", false);
    }

    #[test]
    fn banners_are_reported_with_their_line() {
        assert_eq!(
            judge("src/lib.rs", "mod a;\n// ====\nmod b;\n"),
            ["2: a section banner"]
        );
    }

    #[test]
    fn vendor_words_are_refused_where_names_are_neutral() {
        let text = "/// Sends SOQL.\nfn f() {}\n";
        let expected = ["1: the vendor's word \"soql\""];
        assert_eq!(judge("src/exec/scan.rs", text), expected);
        assert_eq!(judge("crates/crm-core/src/query.rs", text), expected);
        assert_eq!(judge("crates/crm-salesforce/src/deparse.rs", text), [""; 0]);
        assert_eq!(judge("src/connectors.rs", text), [""; 0]);
    }

    #[test]
    fn tests_of_the_extension_may_name_a_wrapper() {
        let text = "#[cfg(test)]\nmod tests {\n    const A: &str = \"salesforce\";\n}\n";
        assert_eq!(judge("src/exec/scan.rs", text), [""; 0]);
        assert_eq!(
            judge(
                "src/exec/scan.rs",
                "mod a {\n    const A: &str = \"salesforce\";\n}\n"
            )
            .len(),
            1
        );
    }

    #[test]
    fn words_are_told_from_their_likes() {
        let check = |line: &str, word: Option<&str>| assert_eq!(vendor_word(line), word, "{line}");
        check("the metadata of a table", None);
        check("struct ODataPath;", Some("odata"));
        check("let myOData = 1;", Some("odata"));
        check("let sobject_name = 1;", Some("sobject"));
        check("a dynamic library", None);
        check("Microsoft Dynamics", Some("dynamics"));
    }
}
