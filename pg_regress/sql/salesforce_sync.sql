-- A local copy kept true, the automatic index, drift (I-1 to I-4, C-6).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
CREATE SCHEMA mart;
IMPORT FOREIGN SCHEMA standard LIMIT TO (lead, account) FROM SERVER sf INTO sf;
-- The target is made with a primary key; the second run writes nothing.
SELECT count(*) AS leads FROM sf.lead \gset
CALL crm.sync('sf.lead', 'mart.lead');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mart.lead'::regclass AND contype = 'p';
SELECT (SELECT count(*) FROM (SELECT * FROM sf.lead EXCEPT SELECT * FROM mart.lead) d) AS different, count(*) = :leads AS all_of_them FROM mart.lead;
CREATE TABLE versions AS SELECT id, xmin AS version FROM mart.lead;
CALL crm.sync('sf.lead', 'mart.lead');
SELECT count(*) FROM mart.lead l JOIN versions USING (id) WHERE l.xmin <> version;
SELECT name = 'LASTIMPORT_' || current_database() || '_Lead' AS name, value ~ '^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d$' AS value FROM crm.option;
SELECT activity, source, target, changed_until = crm.mark(crm.mark_name('Lead')) AS same_mark FROM crm.sync_state;
-- A subset, beside a column of one's own.
CREATE TABLE mart.names (note text DEFAULT 'mine', id text PRIMARY KEY, lastname text);
CALL crm.sync('sf.lead', 'mart.names', 'names');
SELECT note, count(*) = :leads AS all_of_them FROM mart.names GROUP BY note;
-- What a sync cannot work with.
CREATE TABLE mart.wrong (id text PRIMARY KEY, lastname integer, city varchar(3));
CALL crm.sync('sf.lead', 'mart.wrong');
CREATE TABLE mart.keyless (id text, lastname text);
CALL crm.sync('sf.lead', 'mart.keyless');
CREATE TABLE mart.other (name text);
CALL crm.sync('sf.lead', 'mart.other');
CALL crm.sync('mart.other', 'mart.copy');
CALL crm.sync('sf.lead', 'nowhere.lead');
-- The automatic index.
SELECT count(*) = :leads AS all_of_them FROM crm.import(NULL::sf.lead, activity => 'leads');
SELECT current_setting('crm.option_name') = 'LASTIMPORT_' || current_database() || '_leads' AS option_name, current_setting('crm.start_import') AS start_import;
SELECT count(*) FROM crm.import(NULL::sf.lead, activity => 'leads');
SELECT current_setting('crm.start_import') <> '' AS start_import, value = current_setting('crm.end_date') AS end_date FROM crm.option WHERE name LIKE '%leads';
DELETE FROM crm.option WHERE name LIKE '%leads';
SELECT id IS NOT NULL AS found FROM crm.import(NULL::sf.lead, option_name => 'partly') LIMIT 1;
SELECT count(*) FROM crm.option WHERE name = 'partly';
SELECT count(*) FROM crm.import(NULL::sf.lead, index_field => 'nothing');
SELECT count(*) FROM crm.import(NULL::sf.lead, index_field => 'lastname');
INSERT INTO crm.option VALUES ('bad', 'yesterday');
SELECT count(*) FROM crm.import(NULL::sf.lead, option_name => 'bad');
-- Drift.
SELECT * FROM crm.diff('sf');
ALTER FOREIGN TABLE sf.account DROP COLUMN rating, ALTER COLUMN site OPTIONS (SET label 'Old'), ADD COLUMN gone text OPTIONS (field 'Gone__c');
SELECT * FROM crm.diff('sf.account', new_fields => true);
SELECT * FROM crm.refresh('sf.account', new_fields => true);
SELECT * FROM crm.diff('sf');
DROP EXTENSION crm_fdw CASCADE;
