-- What servers and foreign tables have cost, in all sessions of this database (O-1).

CREATE VIEW crm.stat_servers AS
    SELECT s.srvname::text AS server, coalesce(c.calls, 0) AS calls, coalesce(c.data_calls, 0) AS data_calls,
           coalesce(c.pages, 0) AS pages, coalesce(c.records, 0) AS rows, coalesce(c.bytes, 0) AS bytes,
           coalesce(c.retries, 0) AS retries, make_interval(secs => coalesce(c.waited_micros, 0) / 1e6) AS waits,
           coalesce(c.rejects, 0) AS rejects, c.last_error, c.last_sqlstate, c.last_error_at,
           c.calls_used, c.calls_allowed, c.calls_allowed - c.calls_used AS calls_left, c.since
    FROM pg_catalog.pg_foreign_server s
    JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwhandler = 'crm.fdw_handler'::regproc
    LEFT JOIN crm.counters() c ON c.server = s.oid AND c.foreign_table IS NULL
    WHERE pg_catalog.has_server_privilege(s.oid, 'USAGE');
COMMENT ON VIEW crm.stat_servers IS 'calls, pages, rows, retries and the latest error of each server';

CREATE VIEW crm.stat_tables AS
    SELECT t.ftrelid::regclass AS foreign_table, s.srvname::text AS server, coalesce(c.calls, 0) AS calls,
           coalesce(c.data_calls, 0) AS data_calls, coalesce(c.pages, 0) AS pages, coalesce(c.records, 0) AS rows,
           coalesce(c.bytes, 0) AS bytes, coalesce(c.retries, 0) AS retries,
           make_interval(secs => coalesce(c.waited_micros, 0) / 1e6) AS waits, coalesce(c.rejects, 0) AS rejects,
           c.last_error, c.last_sqlstate, c.last_error_at, c.since
    FROM pg_catalog.pg_foreign_table t
    JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
    JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwhandler = 'crm.fdw_handler'::regproc
    LEFT JOIN crm.counters() c ON c.server = s.oid AND c.foreign_table = t.ftrelid
    WHERE pg_catalog.has_table_privilege(t.ftrelid, 'SELECT');
COMMENT ON VIEW crm.stat_tables IS 'calls, pages, rows, retries and the latest error of each foreign table';

-- O-2. The server shows when a backend started to whoever may see what it does: that decides who sees its progress.
CREATE VIEW crm.progress AS
    SELECT p.pid, a.usename AS role, p.work, p.foreign_table, p.records AS rows, p.pages, p.calls,
           p.expected AS expected_rows, p.share AS percent, make_interval(secs => p.elapsed_ms / 1e3) AS elapsed
    FROM crm.progress_reports() p
    JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid AND a.backend_start = p.backend_start;
COMMENT ON VIEW crm.progress IS 'long reads under way in this database';

GRANT SELECT ON crm.stat_servers, crm.stat_tables, crm.progress TO PUBLIC;
REVOKE EXECUTE ON FUNCTION crm.stat_reset() FROM PUBLIC;
