//! Settings, each with a sentence a user understands.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static MAX_API_CALLS: GucSetting<i32> = GucSetting::<i32>::new(0);

/// Makes the settings known; called once, when the library is loaded.
pub fn register() {
    GucRegistry::define_int_guc(
        c"crm.max_api_calls",
        c"Calls to a CRM that one statement may make at most; 0 means no bound.",
        c"A statement whose plan expects more is stopped before its first call.",
        &MAX_API_CALLS,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
}

/// `crm.max_api_calls`, if it is a bound (S-13).
pub fn max_api_calls() -> Option<u64> {
    u64::try_from(MAX_API_CALLS.get())
        .ok()
        .filter(|most| *most > 0)
}
