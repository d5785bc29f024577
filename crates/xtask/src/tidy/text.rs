//! Rules on lines of text: length of files, banners.

use super::{SourceFile, Violation};

/// A file longer than this cannot be read in one sitting.
const MAX_LINES: usize = 800;

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
}
