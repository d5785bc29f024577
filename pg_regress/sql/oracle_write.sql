-- INSERT, UPDATE and DELETE in Oracle, and what it refuses (spec sections 4 to 6).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set oracle :inputs '/common/oracle.sql'
\i :oracle
CREATE SCHEMA ora;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, contact, servicerequest, "User") FROM SERVER ora INTO ora;
-- What can be written.
SELECT relname, pg_relation_is_updatable(oid, false) FROM pg_class WHERE relnamespace = 'ora'::regnamespace ORDER BY 1;
-- Plans.
CREATE FOREIGN TABLE narrow (id text OPTIONS (field 'Id', remote_type 'ID'), name text OPTIONS (field 'AccountName', remote_type 'Text (Short)'), revenue numeric OPTIONS (field 'AnnualRevenues', remote_type 'Currency')) SERVER ora OPTIONS (object 'Account');
CREATE FOREIGN TABLE keyed (id text OPTIONS (field 'Id', remote_type 'ID'), code text OPTIONS (field 'ExternalSystemId', remote_type 'Text (Short)'), subject text OPTIONS (field 'Subject', remote_type 'Text (Short)'), whole integer OPTIONS (field 'CustomInteger0', remote_type 'Integer')) SERVER ora OPTIONS (object 'ServiceRequest', key 'ExternalSystemId');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO narrow (name, revenue) SELECT 'x ' || n, n FROM generate_series(1, 3000) n RETURNING id;
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO keyed (code, subject) VALUES ('regress 1', 'Regress key 1');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE ora.account SET annualrevenues = annualrevenues * 2 WHERE annualrevenues > 9e6;
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM ora.account WHERE id = '1QA2-AAAAAA';
-- New records, and what the CRM stored.
INSERT INTO ora.account (accountname, accounttype, annualrevenues) VALUES ('Regress write 1', 'Customer', 1.5), ('Regress write 2', NULL, 20000.10), ('Regress write 3', 'Partner', NULL)
  RETURNING id IS NOT NULL AS id, accountname, accounttype, annualrevenues, createddate IS NOT NULL AS dated;
CREATE TEMP TABLE mine AS SELECT id, accountname FROM ora.account WHERE accountname LIKE 'Regress write %';
-- Only what is set is sent, and NULL empties the field.
UPDATE ora.account SET accounttype = NULL, annualrevenues = annualrevenues + 1 WHERE id = ANY (ARRAY(SELECT id FROM mine));
UPDATE ora.account a SET description = 'was ' || m.accountname FROM mine m WHERE a.id = m.id AND m.accountname < 'Regress write 3';
SELECT accountname, accounttype, annualrevenues, description FROM ora.account WHERE id = ANY (ARRAY(SELECT id FROM mine)) ORDER BY accountname;
-- An INSERT that gives the identifier changes that record, and one that is not there is refused.
INSERT INTO ora.account (id, annualrevenues) SELECT id, 100 FROM mine WHERE accountname = 'Regress write 1' RETURNING accountname, annualrevenues;
INSERT INTO ora.account (id, annualrevenues) VALUES ('1QA2-ZZZZZZ', 100);
UPDATE ora.account SET annualrevenues = 8 WHERE id = '1QA2-ZZZZZZ';
DELETE FROM ora.account WHERE id = '1QA2-ZZZZZZ';
-- By key: one statement creates, the next one changes.
INSERT INTO keyed (code, subject, whole) VALUES ('regress 1', 'Regress key 1', 1), ('regress 2', 'Regress key 2', 2);
INSERT INTO keyed (code, whole) VALUES ('regress 1', 10), ('regress 2', NULL) RETURNING code, subject, whole;
DELETE FROM keyed WHERE code LIKE 'regress _';
-- Every type, both ways.
ALTER SERVER ora OPTIONS (ADD time_zone 'Europe/Vienna');
INSERT INTO ora.servicerequest (subject, customnumber0, customcurrency0, custominteger0, customboolean0, customdate0, customdate25)
  VALUES ('Regress typed 1', 1.5, 12.34, -7, true, '2024-06-30 23:30:00+02', '2024-02-29')
  RETURNING subject, customnumber0, customcurrency0, custominteger0, customboolean0, customdate0, customdate25;
CREATE FOREIGN TABLE typed (id text OPTIONS (field 'Id'), subject text OPTIONS (field 'Subject', remote_type 'Text (Short)'), wall timestamp OPTIONS (field 'CustomDate0', remote_type 'Date/Time', conversion 'without_time_offset'), day date OPTIONS (field 'CustomDate0', remote_type 'Date/Time', conversion 'date_only'), raw text OPTIONS (field 'CustomDate0', remote_type 'Date/Time', conversion 'copy_paste')) SERVER ora OPTIONS (object 'ServiceRequest');
SELECT subject, wall, day, raw FROM typed WHERE subject LIKE 'Regress typed %';
DELETE FROM ora.servicerequest WHERE subject LIKE 'Regress typed %';
ALTER SERVER ora OPTIONS (DROP time_zone);
SET crm.dry_run = on;
INSERT INTO ora.account (accountname) SELECT 'Regress dry ' || n FROM generate_series(1, 50) n;
RESET crm.dry_run;
-- What is known here is refused before a call; one bad record among twenty does not hold up the others.
INSERT INTO ora.account (accountname, accounttype, annualrevenues) VALUES ('Regress reject 1', 'Customer', 1), (repeat('x', 200), NULL, 2), ('Regress reject 3', 'Nonsense', 3), (NULL, NULL, 4), ('Regress reject 5', NULL, 'NaN'), ('Regress reject 6', NULL, 6) RETURNING accountname, annualrevenues;
INSERT INTO ora.servicerequest (subject, custominteger0) VALUES ('Regress reject 7', 2147483647);
INSERT INTO ora.contact (contactfirstname, contactlastname, accountid) VALUES ('Regress', 'Reject 8', '1QA2-ZZZZZZ');
CREATE FOREIGN TABLE raws (id text OPTIONS (field 'Id'), subject text OPTIONS (field 'Subject', remote_type 'Text (Short)'), whole text OPTIONS (field 'CustomInteger0', remote_type 'Integer', conversion 'copy_paste')) SERVER ora OPTIONS (object 'ServiceRequest');
INSERT INTO raws (subject, whole) VALUES ('Regress reject 9', 'seven');
-- Kept, mended, and sent again.
ALTER FOREIGN TABLE ora.account OPTIONS (ADD process_rejects 'true');
INSERT INTO ora.account (accountname, accounttype) VALUES ('Regress reject 11', 'Nonsense'), ('Regress reject 12', 'Customer');
SELECT server, foreign_table, operation, kind, record, column_name, error_code, error_symbol, error_message, error_log_filename IS NOT NULL AS logged, tries FROM crm.rejects ORDER BY reject_id;
UPDATE crm.rejects SET record = jsonb_set(record, '{accounttype}', '"Partner"');
SELECT * FROM crm.retry_rejects('ora.account') ORDER BY 1, 2;
SELECT accountname, accounttype FROM ora.account WHERE accountname LIKE 'Regress reject 1_' ORDER BY 1;
-- A CRM has no rollback.
BEGIN;
UPDATE ora.account SET annualrevenues = 5 WHERE accountname LIKE 'Regress %';
ROLLBACK;
DELETE FROM ora.account WHERE accountname LIKE 'Regress %';
-- What can never work is said before any call.
INSERT INTO ora.account (accountname, createddate) VALUES ('x', now());
UPDATE ora.account SET id = '1QA2-ZZZZZZ';
DELETE FROM ora."User";
ALTER FOREIGN TABLE ora.account OPTIONS (ADD key 'AccountName');
INSERT INTO ora.account (accountname, annualrevenues) VALUES ('Regress write 10', 1);
DROP EXTENSION crm_fdw CASCADE;
