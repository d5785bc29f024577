//! Where things are: the repository, its build output, the cache of downloads.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace this program was built from.
pub struct Workspace {
    /// Folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The members and their declared dependencies.
    pub metadata: Metadata,
}

impl Workspace {
    /// Asks cargo about the workspace.
    ///
    /// # Errors
    /// Fails when a manifest cannot be read.
    pub fn load() -> Result<Self> {
        // `cargo run` says where the package is now; the folder it was built in may have moved.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let metadata = MetadataCommand::new()
            .manifest_path(package.join("../../Cargo.toml"))
            .no_deps()
            .exec()
            .context("cannot read the workspace with `cargo metadata`")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// A `cargo` command that runs in the root of the workspace.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }

    /// Where this program keeps logs and results between runs.
    pub fn scratch(&self) -> PathBuf {
        self.target.join("xtask")
    }
}

/// The folder for downloads: `CRM_FDW_CACHE`, else `/var/tmp/crm_fdw`.
///
/// It must be readable by the user that runs PostgreSQL, so it is not below a home folder.
///
/// # Errors
/// Fails when it cannot be made.
pub fn cache_dir() -> Result<PathBuf> {
    let dir = std::env::var_os("CRM_FDW_CACHE")
        .map_or_else(|| PathBuf::from("/var/tmp/crm_fdw"), PathBuf::from);
    ensure!(
        dir.is_absolute(),
        "CRM_FDW_CACHE must be an absolute path, not \"{}\"",
        dir.display()
    );
    std::fs::create_dir_all(&dir).with_context(|| {
        format!(
            "cannot create the cache folder {}; set CRM_FDW_CACHE to one you can write",
            dir.display()
        )
    })?;
    Ok(dir)
}
