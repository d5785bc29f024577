//! `crm_fdw`: a company's CRM as foreign tables.
//!
//! Reading order: `connectors` (which CRMs), `options` (what a table is), `fdw` (the server's callbacks) with `plan`
//! and `exec` behind them, `session` and `runtime` (the network), `functions` (the SQL interface), `pg` (unsafe covers).
//! ARCHITECTURE.md shows the way of a SELECT through them.

mod connectors;
mod error;
mod exec;
mod fdw;
mod functions;
mod guc;
mod options;
mod pg;
mod plan;
mod progress;
mod runtime;
mod session;
mod statistics;

::pgrx::pg_module_magic!(name, version);

/// Called when the server loads the library.
#[::pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    guc::register();
    fdw::lookahead::register();
    fdw::join::register();
    fdw::compilation::register();
}

::pgrx::extension_sql_file!(
    "../sql/export.sql",
    name = "export",
    requires = [functions::export::list_export_jobs]
);
// What SQL functions call must be there before them.
::pgrx::extension_sql_file!(
    "../sql/enumeration.sql",
    name = "enumeration",
    requires = [
        functions::catalog::collected_columns,
        functions::enumeration::enumerated_fields,
        functions::enumeration::global_enumeration
    ]
);
::pgrx::extension_sql_file!(
    "../sql/option.sql",
    name = "option",
    requires = [
        functions::catalog::collected_columns,
        functions::changes::clock,
        functions::progress::statement_is_limited
    ]
);
::pgrx::extension_sql_file!(
    "../sql/sync.sql",
    name = "sync",
    requires = [
        "option",
        functions::catalog::identifiers_type,
        functions::changes::deletion_log,
        functions::changes::follow_changes,
        functions::changes::followed_changes,
        functions::changes::offers_changes,
        functions::progress::name_progress,
        functions::stat::calls_made
    ]
);
::pgrx::extension_sql_file!(
    "../sql/changes.sql",
    name = "changes",
    requires = [functions::changes::clock, functions::changes::deletion_log]
);
::pgrx::extension_sql_file!(
    "../sql/drift.sql",
    name = "drift",
    requires = [
        fdw::handler::fdw_handler,
        functions::drift::drift,
        functions::drift::uncollected
    ]
);
::pgrx::extension_sql_file!(
    "../sql/stat.sql",
    name = "stat",
    requires = [
        fdw::handler::fdw_handler,
        functions::progress::progress_reports,
        functions::stat::counters,
        functions::stat::stat_reset
    ]
);
::pgrx::extension_sql_file!("../sql/finalize.sql", name = "finalize", finalize);

#[cfg(any(test, feature = "pg_test"))]
mod backend_tests;

/// What `cargo pgrx test` asks of the server it starts.
#[cfg(test)]
pub mod pg_test {
    /// Runs once before the tests.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the server.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        Vec::new()
    }
}
