//! What a scan costs: requests first, records second.

use pgrx::pg_sys;

/// Records taken for granted where nothing is known (S-4).
pub const UNKNOWN_ROWS: f64 = 1_000_000.0;

/// One request in the planner's unit (one sequential page read): 100 ms against a tenth of a millisecond.
const CALL: f64 = 1_000.0;

/// Transfer and decoding of one record, in the same unit.
const RECORD: f64 = 0.02;

/// Start-up and total cost of reading `rows` records in `calls` requests.
pub fn of_scan(rows: f64, calls: f64) -> (f64, f64) {
    let startup = CALL.min(CALL * calls);
    let total = CALL * calls + RECORD * rows;
    (startup, total.max(startup))
}

/// Records of a relation as ANALYZE left them, or the default.
pub fn known_rows(tuples: f64) -> f64 {
    // Never analysed is -1 in the catalog; the planner may show it as 0 for a foreign table.
    if tuples > 0.0 { tuples } else { UNKNOWN_ROWS }
}

/// The planner's cost of checking the local conditions on `rows` records.
pub fn of_conditions(cost: pg_sys::QualCost, rows: f64) -> f64 {
    cost.startup + cost.per_tuple * rows
}
