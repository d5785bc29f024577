-- INSERT, UPDATE and DELETE in Dynamics, and what it refuses (spec sections 4 to 6).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set dynamics :inputs '/common/dynamics.sql'
\i :dynamics
CREATE SCHEMA dyn;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, contact, opportunity, transactioncurrency, new_alltypes) FROM SERVER dyn INTO dyn;
-- What can be written.
SELECT relname, pg_relation_is_updatable(oid, false) FROM pg_class WHERE relnamespace = 'dyn'::regnamespace ORDER BY 1;
-- Plans.
CREATE FOREIGN TABLE narrow (id uuid OPTIONS (field 'accountid', identifier 'true'), name text OPTIONS (field 'name', remote_type 'StringType'), revenue numeric OPTIONS (field 'revenue', remote_type 'MoneyType')) SERVER dyn OPTIONS (object 'account');
CREATE FOREIGN TABLE keyed (id uuid OPTIONS (field 'new_alltypesid', identifier 'true'), code text OPTIONS (field 'new_code', remote_type 'StringType'), name text OPTIONS (field 'new_name', remote_type 'StringType'), whole integer OPTIONS (field 'new_whole', remote_type 'IntegerType')) SERVER dyn OPTIONS (object 'new_alltypes', key 'new_code');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO narrow (name, revenue) SELECT 'x ' || n, n FROM generate_series(1, 3000) n RETURNING id;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE dyn.account SET revenue = revenue * 2 WHERE revenue > 9e6;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO keyed (code, name) VALUES ('regress 1', 'Regress key 1');
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM dyn.account WHERE accountid = '00000000-0000-4000-8000-000000000001';
-- New records, and what the CRM stored.
INSERT INTO dyn.account (name, industrycode, revenue) VALUES ('Regress write 1', 1, 1.5), ('Regress write 2', NULL, 20000.10), ('Regress write 3', 2, NULL)
  RETURNING accountid IS NOT NULL AS id, name, industrycode, revenue, statecode, statuscode, createdon IS NOT NULL AS dated;
CREATE TEMP TABLE mine AS SELECT accountid, name FROM dyn.account WHERE name LIKE 'Regress write %';
-- Only what is set is sent, and NULL empties the field.
UPDATE dyn.account SET industrycode = NULL, revenue = revenue + 1 WHERE accountid = ANY (ARRAY(SELECT accountid FROM mine));
UPDATE dyn.account a SET description = 'was ' || m.name FROM mine m WHERE a.accountid = m.accountid AND m.name < 'Regress write 3';
SELECT name, industrycode, revenue, description FROM dyn.account WHERE accountid = ANY (ARRAY(SELECT accountid FROM mine)) ORDER BY name;
-- Lookups: to one kind of record, to several with and without the kind, and away again.
INSERT INTO dyn.contact (lastname, parentcustomerid, parentcustomerid_type) SELECT 'Regress write ' || n, (SELECT accountid FROM mine WHERE name = 'Regress write 1'), CASE n WHEN 1 THEN 'account' END FROM generate_series(1, 2) n
  RETURNING lastname, parentcustomerid = (SELECT accountid FROM mine WHERE name = 'Regress write 1') AS same, parentcustomerid_type;
UPDATE dyn.contact SET parentcustomerid = NULL WHERE lastname = 'Regress write 1' RETURNING parentcustomerid, parentcustomerid_type;
INSERT INTO dyn.contact (lastname, parentcustomerid) VALUES ('Regress write 3', '00000000-0000-4000-8000-0000000000ff');
DELETE FROM dyn.contact WHERE lastname LIKE 'Regress write %';
-- State and status, alone and together.
UPDATE dyn.account SET statecode = 1 WHERE accountid = (SELECT accountid FROM mine WHERE name = 'Regress write 1') RETURNING statecode, statuscode;
UPDATE dyn.account SET statecode = 0, statuscode = 1 WHERE accountid = (SELECT accountid FROM mine WHERE name = 'Regress write 1') RETURNING statecode, statuscode;
-- An identifier of one's own makes or changes that record; UPDATE never makes one.
INSERT INTO dyn.account (accountid, name) VALUES ('00000000-0000-4000-8000-00000000aaaa', 'Regress write 4');
INSERT INTO dyn.account (accountid, revenue) VALUES ('00000000-0000-4000-8000-00000000aaaa', 7) RETURNING name, revenue;
DELETE FROM dyn.account WHERE name = 'Regress write 4' RETURNING name;
UPDATE dyn.account SET revenue = 8 WHERE accountid = '00000000-0000-4000-8000-00000000aaaa';
DELETE FROM dyn.account WHERE accountid = '00000000-0000-4000-8000-00000000aaaa';
-- By alternate key.
INSERT INTO keyed (code, name, whole) VALUES ('regress 1', 'Regress key 1', 1), ('regress 2', 'Regress key 2', 2);
INSERT INTO keyed (code, whole) VALUES ('regress 1', 10), ('regress 2', NULL) RETURNING code, name, whole;
DELETE FROM keyed WHERE code LIKE 'regress _';
-- Every type, both ways, and labels in place of numbers (N-3).
ALTER SERVER dyn OPTIONS (ADD time_zone 'Europe/Vienna');
INSERT INTO dyn.new_alltypes (new_code, new_name, new_decimal, new_float, new_money, new_big, new_yesno, new_choice, new_choices, new_day, new_when, new_whenlocal)
  VALUES ('typed 1', 'Regress typed 1', 1.5, 0.25, 12.34, 123456789012345, true, 100000001, '{1,8}', '2024-02-29', '2024-06-30 23:30:00+02', '2024-06-30 23:30:00')
  RETURNING new_name, new_decimal, new_float, new_money, new_big, new_yesno, new_choice, new_choices, new_day, new_when, new_whenlocal;
CREATE FOREIGN TABLE labelled (id uuid OPTIONS (field 'new_alltypesid', identifier 'true'), code text OPTIONS (field 'new_code', remote_type 'StringType'), name text OPTIONS (field 'new_name', remote_type 'StringType'), choice text OPTIONS (field 'new_choice', remote_type 'PicklistType'), choices text[] OPTIONS (field 'new_choices', remote_type 'MultiSelectPicklistType')) SERVER dyn OPTIONS (object 'new_alltypes');
SELECT field, value, label FROM crm.enumerations('dyn', 'new_alltypes') WHERE field IN ('new_choice', 'new_choices') ORDER BY field, position;
SELECT name, choice, choices FROM labelled WHERE name LIKE 'Regress typed %';
INSERT INTO labelled (code, name, choice, choices) VALUES ('typed 2', 'Regress typed 2', 'grün', '{Nine,Two}') RETURNING choice, choices;
SELECT new_choice, new_choices FROM dyn.new_alltypes WHERE new_code = 'typed 2';
DELETE FROM dyn.new_alltypes WHERE new_name LIKE 'Regress typed %';
ALTER SERVER dyn OPTIONS (DROP time_zone);
-- What the metadata tells is refused before a call, the rest by the CRM; the others are written.
SET crm.dry_run = on;
INSERT INTO dyn.account (name) SELECT 'Regress dry ' || n FROM generate_series(1, 1500) n;
RESET crm.dry_run;
INSERT INTO dyn.account (name, industrycode, revenue, numberofemployees) VALUES ('Regress reject 1', 1, 1, 1), (repeat('x', 161), 1, 2, 2), ('Regress reject 3', 4711, 3, 3), ('Regress reject 4', 1, 1e20, 4), ('Regress reject 5', 1, 'NaN', 5), ('Regress reject 6', 1, 6, -6) RETURNING name, revenue;
INSERT INTO labelled (code, name, choice) VALUES ('reject 7', 'Regress reject 7', 'Mauve');
INSERT INTO dyn.new_alltypes (new_code, new_name, new_when, new_day) VALUES ('reject 8', 'Regress reject 8', '1600-01-01 00:00+00', NULL), ('reject 9', 'Regress reject 9', NULL, '0044-03-15 BC'), (NULL, 'Regress reject 10', NULL, NULL);
UPDATE dyn.opportunity SET statecode = 1 WHERE opportunityid = (SELECT min(opportunityid::text)::uuid FROM dyn.opportunity WHERE statecode = 0);
-- Kept, mended, and sent again.
ALTER FOREIGN TABLE dyn.account OPTIONS (ADD process_rejects 'true');
INSERT INTO dyn.account (name, industrycode) VALUES ('Regress reject 11', 4711);
INSERT INTO dyn.account (accountid, name) VALUES ('00000000-0000-4000-8000-00000000bbbb', 'Regress reject 12');
UPDATE dyn.account SET statuscode = 2 WHERE accountid = '00000000-0000-4000-8000-00000000bbbb';
UPDATE dyn.account SET revenue = 5 WHERE accountid = '00000000-0000-4000-8000-00000000cccc';
SELECT server, foreign_table, operation, kind, record, column_name, error_symbol, error_message, tries FROM crm.rejects ORDER BY reject_id;
UPDATE crm.rejects SET record = jsonb_set(record, '{industrycode}', '3') WHERE operation = 'insert';
-- A change that is sent again stays one: what has vanished is not made anew.
SELECT * FROM crm.retry_rejects('dyn.account') ORDER BY 1, 2;
SELECT operation, remote_id, error_symbol, tries FROM crm.rejects ORDER BY remote_id;
SELECT name, industrycode FROM dyn.account WHERE name = 'Regress reject 11';
DELETE FROM dyn.account WHERE name LIKE 'Regress %';
-- A CRM has no rollback.
BEGIN;
INSERT INTO dyn.account (name) VALUES ('Regress write 9');
ROLLBACK;
DELETE FROM dyn.account WHERE name LIKE 'Regress %';
-- What can never work is said before any call.
INSERT INTO dyn.account (name, createdon) VALUES ('x', now());
UPDATE dyn.account SET accountid = '00000000-0000-4000-8000-00000000aaaa';
DELETE FROM dyn.transactioncurrency;
ALTER FOREIGN TABLE dyn.account OPTIONS (ADD key 'name');
INSERT INTO dyn.account (name, revenue) VALUES ('Regress write 10', 1);
DROP EXTENSION crm_fdw CASCADE;
