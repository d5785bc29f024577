//! A disk in memory that fails when told to.

use crate::log::Medium;
use std::io;
use std::sync::{Arc, Mutex};

/// One file; clones share it.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    content: Vec<u8>,
    /// Bytes that can be written before the disk is full; a write over it is done in part.
    room: Option<usize>,
    sync_fails: bool,
    truncate_fails: bool,
    /// Something was written that a power loss would take away.
    is_dirty: bool,
}

impl Disk {
    /// A disk that holds a file.
    pub fn with(content: &[u8]) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().content = content.to_vec();
        disk
    }

    pub fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().content.clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().content.len()
    }

    /// Whether a power loss takes nothing away.
    pub fn is_flushed(&self) -> bool {
        !self.0.lock().unwrap().is_dirty
    }

    /// `None` is no limit.
    pub fn set_room(&self, room: Option<usize>) {
        self.0.lock().unwrap().room = room;
    }

    pub fn fail_sync(&self, fails: bool) {
        self.0.lock().unwrap().sync_fails = fails;
    }

    /// The way back is closed too, as when the process is killed in the middle of a write.
    pub fn fail_truncate(&self, fails: bool) {
        self.0.lock().unwrap().truncate_fails = fails;
    }
}

impl Medium for Disk {
    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        let state = self.0.lock().unwrap();
        let rest = state.content.get(place as usize..).unwrap_or_default();
        let n_bytes = rest.len().min(buffer.len());
        buffer[..n_bytes].copy_from_slice(&rest[..n_bytes]);
        Ok(n_bytes)
    }

    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        assert!(
            !state.is_dirty,
            "a line is written before the one before it is flushed"
        );
        state.is_dirty = true;
        let n_bytes = state.room.unwrap_or(usize::MAX).min(bytes.len());
        let end = place as usize + n_bytes;
        if state.content.len() < end {
            state.content.resize(end, 0);
        }
        state.content[place as usize..end].copy_from_slice(&bytes[..n_bytes]);
        if let Some(room) = &mut state.room {
            *room -= n_bytes;
        }
        if n_bytes < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.truncate_fails {
            return Err(io::Error::other("no way back"));
        }
        state.is_dirty = true;
        let freed = state.content.len().saturating_sub(length as usize);
        state.room = state.room.map(|room| room + freed);
        state.content.truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.sync_fails {
            return Err(io::Error::other("the disk does not answer"));
        }
        state.is_dirty = false;
        Ok(())
    }
}
