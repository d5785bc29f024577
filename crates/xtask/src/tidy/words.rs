//! Rule on the words of a vendor: names and texts outside of connectors are neutral.
//!
//! Comments are free to name the vendor whose page a fact comes from.

use super::tokens::{Kind, Parsed};
use super::{SourceFile, Violation};

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

/// Judges the names and texts of a file; tests inside the extension may need a real wrapper.
pub fn check(file: &SourceFile, parsed: &Parsed) -> Vec<Violation> {
    let Some((_, reason)) = NEUTRAL_AREAS.iter().find(|(area, _)| file.is_in(area)) else {
        return Vec::new();
    };
    if file.path == REGISTRY || file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (index, token) in parsed.tokens.iter().enumerate() {
        let text = match &token.kind {
            Kind::Word(text) => text,
            // A doc comment reads as `#[doc = "text"]`.
            Kind::Literal(text) if !(index > 1 && parsed.tokens[index - 2].is_word("doc")) => text,
            _ => continue,
        };
        let in_tests = parsed
            .test_modules
            .iter()
            .any(|lines| lines.contains(&token.line));
        if let Some(word) = vendor_word(text).filter(|_| !in_tests) {
            violations.push(Violation {
                file: file.path.clone(),
                line: token.line,
                what: format!("the vendor's word \"{word}\""),
                reason,
            });
        }
    }
    violations
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
    fn vendor_words_are_refused_where_names_are_neutral() {
        let text = "fn soql() {}\n";
        let expected = ["1: the vendor's word \"soql\""];
        assert_eq!(judge("src/exec/scan.rs", text), expected);
        assert_eq!(judge("crates/crm-core/src/query.rs", text), expected);
        assert_eq!(judge("crates/crm-salesforce/src/deparse.rs", text), [""; 0]);
        assert_eq!(judge("src/connectors.rs", text), [""; 0]);
    }

    #[test]
    fn texts_are_judged_and_comments_are_not() {
        let path = "src/exec/scan.rs";
        let expected = ["1: the vendor's word \"salesforce\""];
        assert_eq!(
            judge(path, "const A: &str = \"ask Salesforce\";\n"),
            expected
        );
        assert_eq!(
            judge(path, "/// As Salesforce does.\nfn f() {} // SOQL\n"),
            [""; 0]
        );
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
