//! Settings, each with a sentence a user understands.

use std::ffi::CString;
use std::time::Duration;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};

static ENABLE_LOOKUP_JOIN: GucSetting<bool> = GucSetting::<bool>::new(true);
static MAX_API_CALLS: GucSetting<i32> = GucSetting::<i32>::new(0);
static EXPORT_JOB: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static PROGRESS_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static OPTION_NAME: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static START_IMPORT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static END_DATE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static DRY_RUN: GucSetting<bool> = GucSetting::<bool>::new(false);
static RETRIED_REJECTS: GucSetting<i32> = GucSetting::<i32>::new(0);
static RETRIED_CHANGES: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Makes the settings known; called once, when the library is loaded.
pub fn register() {
    GucRegistry::define_bool_guc(
        c"crm.enable_lookup_join",
        c"Joins on the identifier may collect identifiers and fetch those records in batches.",
        c"When off, the planner reads the whole object instead.",
        &ENABLE_LOOKUP_JOIN,
        GucContext::Userset,
        GucFlags::EXPLAIN,
    );
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
    GucRegistry::define_int_guc(
        c"crm.progress_interval",
        c"Time between two notices of how far a long read has come; 0 means none.",
        c"The view crm.progress shows the same to other sessions.",
        &PROGRESS_INTERVAL,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    for (name, what, setting) in [
        (
            c"crm.option_name",
            c"The option that holds the mark of the latest crm.import of this session.",
            &OPTION_NAME,
        ),
        (
            c"crm.start_import",
            c"Start of the period that the latest crm.import of this session read; empty for the first.",
            &START_IMPORT,
        ),
        (
            c"crm.end_date",
            c"End of the period that the latest crm.import of this session read, by the CRM's clock.",
            &END_DATE,
        ),
    ] {
        GucRegistry::define_string_guc(
            name,
            what,
            c"Set by crm.import, in UTC.",
            setting,
            GucContext::Userset,
            GucFlags::default(),
        );
    }
    GucRegistry::define_string_guc(
        c"crm.export_job",
        c"Name of the export job that INSERT, UPDATE and DELETE on CRM tables belong to; empty for none.",
        c"Each record is kept in a journal: run again after any failure, the statement sends none twice and loses none.",
        &EXPORT_JOB,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"crm.dry_run",
        c"An export does everything but its calls, and says what it would have sent.",
        c"Checks are made and rejects reported; the command tag counts no record.",
        &DRY_RUN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"crm.retried_rejects",
        c"How often the records being sent have been refused; set by crm.retry_rejects.",
        c"Refused again, they are kept with one try more.",
        &RETRIED_REJECTS,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::NO_SHOW_ALL,
    );
    GucRegistry::define_bool_guc(
        c"crm.retried_changes",
        c"The records being sent again are changes, which make no record; set by crm.retry_rejects.",
        c"They come by INSERT, which names the record and its columns at once.",
        &RETRIED_CHANGES,
        GucContext::Userset,
        GucFlags::NO_SHOW_ALL,
    );
}

/// `crm.progress_interval`, unless it is off (O-2).
pub fn progress_interval() -> Option<Duration> {
    let millis = u64::try_from(PROGRESS_INTERVAL.get()).ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// `crm.export_job`: the journal that exports are kept in, if any.
pub fn export_job() -> Option<String> {
    let name = EXPORT_JOB.get()?.to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// `crm.dry_run`.
pub fn dry_run() -> bool {
    DRY_RUN.get()
}

/// `crm.retried_rejects`: not zero while rejects are sent again (E-3).
pub fn retried_rejects() -> i32 {
    RETRIED_REJECTS.get()
}

/// `crm.retried_changes`: an INSERT sends rejects of UPDATE again (E-3).
pub fn retried_changes() -> bool {
    RETRIED_CHANGES.get()
}

/// `crm.enable_lookup_join` (S-4).
pub fn enable_lookup_join() -> bool {
    ENABLE_LOOKUP_JOIN.get()
}

/// `crm.max_api_calls`, if it is a bound (S-13).
pub fn max_api_calls() -> Option<u64> {
    u64::try_from(MAX_API_CALLS.get())
        .ok()
        .filter(|most| *most > 0)
}
