//! From the name of a job, which is any text, to the name of its file, which must not leave the folder.

use crate::fingerprint::sha256_hex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How the name of a journal file ends.
pub(crate) const SUFFIX: &str = ".journal";
/// What a file is called until its first line is flushed.
pub(crate) const NEW_SUFFIX: &str = ".journal.new";

const PLAIN: &str = "job-";
const HASHED: &str = "long-";
/// File systems take 255 bytes; this leaves room for prefix and suffix.
const MAX_ENCODED: usize = 200;
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The file's name without its suffix. Different jobs have different ones; there is no `.` and no `/` in it.
pub(crate) fn stem(job: &str) -> String {
    let encoded = utf8_percent_encode(job, ENCODED).to_string();
    if encoded.len() <= MAX_ENCODED {
        format!("{PLAIN}{encoded}")
    } else {
        format!("{HASHED}{}", sha256_hex(job.as_bytes()))
    }
}

/// The job's name as far as the file's tells it, for a file whose first line cannot be read.
pub(crate) fn job_of_stem(stem: &str) -> Option<String> {
    let encoded = stem.strip_prefix(PLAIN)?;
    Some(percent_decode_str(encoded).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_name_leaves_the_folder() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let snowmen = "☃".repeat(100);
        let names = [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a%2Fb",
            "/etc/passwd",
            "A",
            "a",
            "é",
            "☃",
            "a b",
            "a\nb",
            "-",
            "long-",
            &long,
            &longer,
            &snowmen,
        ];
        let mut stems = HashSet::new();
        for name in names {
            let stem = stem(name);
            assert!(stem.len() + NEW_SUFFIX.len() <= 255, "{name:?}");
            assert!(!stem.contains(['/', '.', '\0', '\n']), "{stem:?}");
            assert!(stems.insert(stem), "{name:?} shares a file");
        }
    }

    #[test]
    fn the_name_can_be_told_from_the_file() {
        for name in ["", "nightly", "../x", "é ☃"] {
            assert_eq!(job_of_stem(&stem(name)).as_deref(), Some(name));
        }
        assert_eq!(job_of_stem(&stem(&"x".repeat(300))), None);
    }
}
