-- What servers and tables have cost (O-1).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, contact) FROM SERVER sf INTO sf;
SELECT server, calls > 0 AS calls, data_calls, pages, rows, retries, waits, rejects, last_error FROM crm.stat_servers;
SELECT count(*) AS accounts FROM (SELECT id FROM sf.account OFFSET 0) a \gset
SELECT foreign_table, server, calls, data_calls, pages, rows = :accounts AS rows, bytes > 0 AS bytes, rejects FROM crm.stat_tables ORDER BY 1;
-- EXPLAIN costs nothing.
EXPLAIN (COSTS OFF) SELECT id FROM sf.account;
SELECT calls FROM crm.stat_tables WHERE foreign_table = 'sf.account'::regclass;
-- Errors and rejects are remembered.
ALTER FOREIGN TABLE sf.contact ADD COLUMN nothing text OPTIONS (field 'Nothing__c');
SELECT nothing FROM sf.contact;
SELECT foreign_table, last_error, last_sqlstate, last_error_at IS NOT NULL AS at FROM crm.stat_tables ORDER BY 1;
SELECT server, last_error, calls_allowed > calls_used AS allotment, calls_left = calls_allowed - calls_used AS left FROM crm.stat_servers;
SELECT * FROM crm.progress;
SHOW crm.progress_interval;
SELECT crm.stat_reset();
SELECT server, calls, rows, last_error FROM crm.stat_servers;
DROP EXTENSION crm_fdw CASCADE;
