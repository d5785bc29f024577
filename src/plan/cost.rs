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

/// A call that carries identifiers there and records back, against one that only brings a page: with as many of either
/// a scan is the better choice.
const LOOKUP: f64 = 1.25;

/// Looking an identifier up and handing a joined row on, in the same unit.
const JOINED_ROW: f64 = 0.02;

/// What is known of a lookup join before it runs.
pub struct Lookups {
    /// Start-up and total cost of the rows that bring the identifiers.
    pub outer: (f64, f64),
    /// How many rows that are.
    pub rows: f64,
    /// Identifiers fetched.
    pub keys: f64,
    /// Identifiers a call.
    pub batch: f64,
    /// Calls for them.
    pub calls: f64,
}

impl Lookups {
    /// Start-up and total cost: the first row comes after the first batch.
    pub fn cost(&self) -> (f64, f64) {
        let call = CALL * LOOKUP;
        let (startup, total) = self.outer;
        let first = (self.batch / self.keys.max(1.0)).min(1.0);
        let first_row = startup + (total - startup) * first + call.min(call * self.calls);
        let last_row = total + call * self.calls + RECORD * self.keys + JOINED_ROW * self.rows;
        (first_row, last_row.max(first_row))
    }
}

/// Identifiers fetched for `rows` rows with `distinct` different ones, when `kept` records stay at hand for rows to come:
/// one that is not kept is fetched again.
pub fn keys_fetched(rows: f64, distinct: f64, kept: f64) -> f64 {
    if distinct <= kept {
        return distinct;
    }
    let repeated = (rows - distinct).max(0.0);
    distinct + repeated * (1.0 - kept / distinct)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lookups(keys: f64) -> f64 {
        let lookups = Lookups {
            outer: (0.0, keys / 100.0),
            rows: keys,
            keys,
            batch: 2_000.0,
            calls: (keys / 2_000.0).ceil(),
        };
        lookups.cost().1
    }

    #[test]
    fn few_identifiers_are_looked_up_and_most_of_a_table_is_scanned() {
        let scan = of_scan(UNKNOWN_ROWS, UNKNOWN_ROWS / 2_000.0).1;
        assert!(lookups(10_000.0) < scan / 50.0);
        assert!(lookups(700_000.0) < scan);
        assert!(lookups(900_000.0) > scan);
    }

    #[test]
    fn what_is_not_kept_is_fetched_again() {
        assert_eq!(keys_fetched(50_000.0, 1_000.0, 1_000.0), 1_000.0);
        assert_eq!(keys_fetched(50_000.0, 10_000.0, 5_000.0), 30_000.0);
        assert_eq!(keys_fetched(10_000.0, 10_000.0, 5_000.0), 10_000.0);
    }
}
