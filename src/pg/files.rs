//! Small files below the data directory, in which every backend of the server has its working directory.
//! The server's user alone may read them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The extension's folder of that name.
pub fn folder(name: &str) -> PathBuf {
    Path::new("crm_fdw").join(name)
}

/// Opens a file for writing, made with its folder if it is not there; what it holds stays.
///
/// # Errors
/// What the system says.
pub fn open_private(path: &Path) -> Result<File> {
    let open = || {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    };
    match (open(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
            open()
        }
        (opened, _) => opened,
    }
}

/// Puts `text` in the place of a file: a reader sees the old one or the new one. One writer at a time.
///
/// # Errors
/// What the system says; the old file stays.
pub fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let written = open_private(&new).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(text)
    });
    written
        .and_then(|()| std::fs::rename(&new, path))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&new);
        })
}
