-- Export jobs: a statement that runs again sends nothing twice (spec X-5, X-6).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, alltypes__c) FROM SERVER sf INTO sf;
ALTER FOREIGN TABLE sf.alltypes__c OPTIONS (ADD journal_key 'BatchKey__c');
CREATE TABLE leads (name text, pick text);
INSERT INTO leads SELECT 'Regress job ' || n, 'A' FROM generate_series(1, 3) n;
INSERT INTO leads SELECT 'Regress job 1', 'A';
SELECT crm.forget_export('regress');
SET crm.export_job = 'regress';
-- Accepted, and rolled back here: the second run gives the same identifiers and sends nothing.
BEGIN;
CREATE TEMP TABLE first (id text);
WITH made AS (INSERT INTO sf.alltypes__c (name, restrictedpick__c) SELECT name, pick FROM leads RETURNING id) SELECT count(DISTINCT id) FROM made;
SELECT job, state, server, object, operations, fields, records, accepted, rejected, pending, unknown FROM crm.export_jobs;
ROLLBACK;
SELECT job, state, records, accepted, finished_at IS NULL AS unfinished FROM crm.export_jobs;
SELECT number, operation, record - 'BatchKey__c' AS record, status, length(remote_id) AS id, error_symbol, journal_key = record ->> 'BatchKey__c' AS keyed, sent_at <= settled_at AS timed FROM crm.export_records('regress') ORDER BY number;
-- Another statement under the unfinished job is refused.
INSERT INTO sf.alltypes__c (name) VALUES ('x');
DELETE FROM sf.alltypes__c;
INSERT INTO sf.account (name) VALUES ('x');
-- The same statement, in another order, with one record more that is refused.
INSERT INTO leads VALUES ('Refused by a rule', 'A');
\set VERBOSITY terse
WITH made AS (INSERT INTO sf.alltypes__c (name, restrictedpick__c) SELECT name, pick FROM leads ORDER BY name DESC RETURNING id) SELECT count(*) AS returned, count(r.remote_id) AS known FROM made LEFT JOIN crm.export_records('regress') r ON r.remote_id = made.id;
\set VERBOSITY default
SELECT state, records, accepted, rejected FROM crm.export_jobs;
SELECT count(*) FROM sf.alltypes__c WHERE name LIKE 'Regress job %';
-- The job is finished: the next run is a new export, and starts a new list.
DELETE FROM leads WHERE name LIKE 'Refused%' OR name > 'Regress job 1';
INSERT INTO sf.alltypes__c (name, restrictedpick__c) SELECT name, pick FROM leads;
SELECT state, records, accepted, rejected FROM crm.export_jobs;
SELECT count(*) FROM sf.alltypes__c WHERE name LIKE 'Regress job %';
-- Statements of one transaction share a job if they are the same.
BEGIN;
INSERT INTO sf.alltypes__c (name) SELECT 'Regress job 7';
INSERT INTO sf.alltypes__c (name) SELECT 'Regress job 8';
SELECT count(*) FROM crm.export_records('regress');
UPDATE sf.alltypes__c SET name = 'x';
ROLLBACK;
-- A savepoint gives the records back to the next statement.
BEGIN;
SAVEPOINT before;
INSERT INTO sf.alltypes__c (name) SELECT 'Regress job 7';
ROLLBACK TO before;
INSERT INTO sf.alltypes__c (name) SELECT 'Regress job ' || n FROM generate_series(7, 8) n;
COMMIT;
SELECT count(*) FROM sf.alltypes__c WHERE name IN ('Regress job 7', 'Regress job 8');
-- Only what nobody knows can be settled.
SELECT crm.settle_export('regress', 1, 'accepted');
SELECT crm.settle_export('regress', 99, 'resend');
SELECT crm.settle_export('regress', 1, 'perhaps');
SELECT crm.settle_export('nowhere', 1, 'resend');
SELECT * FROM crm.export_records('nowhere');
-- Each role has its own jobs, and a dry run none.
CREATE ROLE regress_other;
SET ROLE regress_other;
SELECT count(*) FROM crm.export_jobs;
RESET ROLE;
DROP ROLE regress_other;
SET crm.export_job = 'dry';
SET crm.dry_run = on;
INSERT INTO sf.alltypes__c (name) SELECT 'x';
RESET crm.dry_run;
SELECT job FROM crm.export_jobs;
RESET crm.export_job;
DELETE FROM sf.alltypes__c WHERE name LIKE 'Regress job %';
SELECT crm.forget_export('regress'), crm.forget_export('regress');
SELECT count(*) FROM crm.export_jobs;
DROP EXTENSION crm_fdw CASCADE;
