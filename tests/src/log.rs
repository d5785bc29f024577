//! The server's log, written at the lowest level there is, and what must never be in it.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::cluster::Place;

/// The log from one moment on.
#[derive(Clone)]
pub struct ServerLog {
    path: PathBuf,
    start: u64,
}

impl ServerLog {
    /// From now on, of the server there.
    pub fn from_here(place: &Place) -> Self {
        let path = place.log.clone();
        let start = std::fs::metadata(&path).map_or(0, |found| found.len());
        Self { path, start }
    }

    /// What was written since.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn text(&self) -> String {
        let mut file = std::fs::File::open(&self.path).expect("the server's log");
        file.seek(SeekFrom::Start(self.start)).expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("a file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// # Panics
    /// When one of the `secrets`, or a header that carries one, was logged.
    pub fn has_none_of(&self, secrets: &[String]) {
        let text = self.text();
        assert!(
            text.contains("DEBUG:  "),
            "the log is not written at its lowest level"
        );
        let headers = ["Authorization", "authorization:", "Bearer "];
        for secret in secrets.iter().map(String::as_str).chain(headers) {
            if let Some(at) = text.find(secret) {
                let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line = text[line_start..].lines().next().unwrap_or_default();
                panic!("\"{secret}\" stands in the server's log: {line}");
            }
        }
    }
}
