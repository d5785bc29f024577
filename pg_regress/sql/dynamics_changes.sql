-- Enumerations, deleted records and local copies of Dynamics (N-1 to N-3, L-1, L-2, I-1 to I-4).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set dynamics :inputs '/common/dynamics.sql'
\i :dynamics
CREATE SCHEMA dyn;
CREATE SCHEMA mart;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, lead, new_alltypes, new_wide) FROM SERVER dyn INTO dyn;
-- Local and global option sets, states, statuses, truth values.
SELECT field, value, label, position, active, is_default, controlling_values FROM crm.enumerations('dyn', 'new_alltypes') ORDER BY field, position;
SELECT count(DISTINCT object) > 3 AS of_many_objects FROM crm.enumerations('dyn');
SELECT * FROM crm.enumerations('dyn', 'new_nothing');
SELECT * FROM crm.sync_enumeration('dyn.account', 'statuscode');
SELECT value, label, position FROM crm.enumeration_value ORDER BY position;
SELECT * FROM crm.sync_enumeration('dyn.account', 'statuscode');
SELECT * FROM crm.sync_enumerations('dyn', object => 'new_alltypes') ORDER BY 1, 2;
SELECT a.statuscode, l.label, count(*) FROM dyn.account a JOIN crm.labels('dyn.account', 'statuscode') l ON l.value = a.statuscode::text GROUP BY 1, 2 ORDER BY 1;
SELECT * FROM crm.sync_enumeration('dyn.account', 'name');
ALTER SERVER dyn OPTIONS (ADD language '1031');
SELECT value, label FROM crm.enumerations('dyn', 'new_alltypes') WHERE field = 'new_choice' ORDER BY position;
ALTER SERVER dyn OPTIONS (DROP language);
-- Deleted records.
INSERT INTO dyn.account (name) VALUES ('Short-lived') RETURNING accountid AS id \gset
DELETE FROM dyn.account WHERE accountid = :'id';
SELECT name, id = :'id' AS it, deleted_at BETWEEN crm.clock('dyn.account'::regclass) - interval '1 minute' AND crm.clock('dyn.account'::regclass) AS now, deleted_by IS NOT NULL AS by_somebody
  FROM crm.deleted('dyn.account', now() - interval '1 hour') WHERE id = :'id';
SELECT count(*) FROM crm.deleted('dyn.account', now() - interval '3 days', now() - interval '2 days');
SELECT count(*) FROM crm.deleted('dyn.new_wide', now() - interval '1 hour');
-- A local copy kept true.
SELECT count(*) AS leads FROM dyn.lead \gset
CALL crm.sync('dyn.lead', 'mart.lead');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mart.lead'::regclass AND contype = 'p';
SELECT (SELECT count(*) FROM (SELECT * FROM dyn.lead EXCEPT SELECT * FROM mart.lead) d) AS different, count(*) = :leads AS all_of_them FROM mart.lead;
CALL crm.sync('dyn.lead', 'mart.lead');
INSERT INTO dyn.lead (lastname, subject) VALUES ('Regress sync', 'x') RETURNING leadid AS id \gset
CALL crm.sync('dyn.lead', 'mart.lead');
SELECT lastname, subject FROM mart.lead WHERE leadid = :'id';
DELETE FROM dyn.lead WHERE leadid = :'id';
CALL crm.sync('dyn.lead', 'mart.lead');
SELECT count(*) FROM mart.lead WHERE leadid = :'id';
SELECT activity, source, target FROM crm.sync_state;
SELECT count(*) = :leads AS all_of_them FROM crm.import(NULL::dyn.lead, activity => 'leads');
SELECT count(*) FROM crm.import(NULL::dyn.lead, activity => 'leads');
-- Drift.
SELECT * FROM crm.diff('dyn');
ALTER FOREIGN TABLE dyn.account DROP COLUMN revenue, ALTER COLUMN name OPTIONS (SET label 'Old'), ADD COLUMN gone text OPTIONS (field 'new_gone');
SELECT * FROM crm.diff('dyn.account', new_fields => true);
DROP EXTENSION crm_fdw CASCADE;
