//! What a test may change of this face: limits, and choices the protocol page leaves open.

use serde::{Deserialize, Serialize};

/// All of it; `POST /_sandbox/oracle` changes single ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Sessions at the same time (section 2.4).
    pub session_limit: usize,
    /// Seconds without a request that end a session.
    pub idle_s: i64,
    /// Seconds after which a session ends in any case.
    pub life_s: i64,
    /// Least milliseconds between two requests of a session; 0 for none. The service has 50.
    pub min_interval_ms: i64,
    /// REST requests of a session in a minute.
    pub rest_per_minute: u32,
    /// Operations before SBL-SBL-70172; none unless set.
    pub allotment: Option<u64>,
    /// HTTP status of faults: 500 or 200 (section 9.3).
    pub fault_status: u16,
    /// Codes without parentheses.
    pub bare_codes: bool,
    /// Most rows one query can be paged through; none unless set.
    pub row_ceiling: Option<usize>,
    /// `=` honours wildcards, as one page of the guide has it.
    pub wildcards_in_equals: bool,
    /// Joined expressions must stand in parentheses, a lone one must not.
    pub strict_searchspec: bool,
    /// Entries of the trash older than so many seconds are purged; none unless set.
    pub trash_reach_s: Option<i64>,
    /// The user's time zone, as `GetServerTime` tells it.
    pub time_zone: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_limit: 10,
            idle_s: 600,
            life_s: 86_400,
            min_interval_ms: 0,
            rest_per_minute: 30,
            allotment: None,
            fault_status: 500,
            bare_codes: false,
            row_ceiling: None,
            wildcards_in_equals: true,
            strict_searchspec: true,
            trash_reach_s: None,
            time_zone: super::time::CENTRAL.to_owned(),
        }
    }
}
