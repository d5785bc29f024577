//! The extension: see ARCHITECTURE.md for the way through the rooms.
pgrx::pg_module_magic!();
