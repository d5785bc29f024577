//! Records fetched by their identifiers (spec S-4).

/// Identifiers that one call takes.
pub(crate) const BATCH: usize = 5_000;
