-- INSERT, UPDATE and DELETE: plans, values both ways, keys, RETURNING, dry runs (spec sections 4 and 5).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, alltypes__c) FROM SERVER sf INTO sf;
-- What can be written.
SELECT relname, pg_relation_is_updatable(oid, false) FROM pg_class WHERE relnamespace = 'sf'::regnamespace ORDER BY 1;
SELECT table_name, is_insertable_into FROM information_schema.tables WHERE table_schema = 'sf' ORDER BY 1;
SELECT column_name, is_updatable FROM information_schema.columns WHERE table_schema = 'sf' AND table_name = 'account' AND column_name IN ('id', 'name', 'createddate') ORDER BY 1;
-- Plans.
CREATE FOREIGN TABLE narrow (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name', remote_type 'string'), industry text OPTIONS (field 'Industry', remote_type 'picklist'), annualrevenue numeric OPTIONS (field 'AnnualRevenue', remote_type 'currency')) SERVER sf OPTIONS (object 'Account');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO narrow (name) VALUES ('x');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO narrow (name, annualrevenue) SELECT 'x ' || n, n FROM generate_series(1, 3000) n RETURNING id;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE sf.account SET annualrevenue = annualrevenue * 2 WHERE annualrevenue > 9e6;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE sf.account SET industry = NULL WHERE id = ANY ('{001000000000001AAA,001000000000002AAA}');
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM sf.account WHERE id = '001000000000001AAA';
EXPLAIN (VERBOSE, COSTS OFF) DELETE FROM sf.account WHERE name = 'x' RETURNING name;
-- New records, and what the CRM stored.
INSERT INTO sf.account (name, industry, annualrevenue) VALUES ('Regress write 1', 'Energy', 1.5), ('Regress write 2', NULL, 20000.10), ('Regress write 3', 'Banking', NULL) RETURNING length(id) AS id, name, industry, annualrevenue, createddate IS NOT NULL AS dated;
WITH made AS (INSERT INTO sf.account (name) SELECT 'Regress write ' || n FROM generate_series(4, 5) n RETURNING id) SELECT count(DISTINCT id) FROM made;
COPY sf.account (name, annualrevenue) FROM stdin;
Regress write 6	6
Regress write 7	\N
\.
PREPARE make(text) AS INSERT INTO sf.account (name) VALUES ($1);
EXECUTE make('Regress write 8');
CREATE TEMP TABLE mine AS SELECT id, name FROM sf.account WHERE name LIKE 'Regress write %';
SELECT name FROM mine ORDER BY name;
-- Changes name their records; only what is set is sent, and NULL empties the field.
UPDATE sf.account SET industry = NULL, annualrevenue = annualrevenue + 1 WHERE id = ANY (ARRAY(SELECT id FROM mine));
UPDATE sf.account SET industry = 'Energy' WHERE id = (SELECT id FROM mine WHERE name = 'Regress write 8') RETURNING name, industry;
UPDATE sf.account a SET description = 'was ' || m.name FROM mine m WHERE a.id = m.id AND m.name < 'Regress write 3';
SELECT name, industry, annualrevenue, description FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM mine)) ORDER BY name;
-- An INSERT that gives the identifier changes that record.
INSERT INTO sf.account (id, annualrevenue) SELECT id, 100 FROM mine WHERE name = 'Regress write 1' RETURNING name, annualrevenue;
DELETE FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM mine WHERE name > 'Regress write 5'));
DELETE FROM sf.account WHERE name = 'Regress write 5' RETURNING name;
SELECT count(*) FROM sf.account WHERE name LIKE 'Regress write %';
-- A dry run checks and counts; nothing is sent.
SET crm.dry_run = on;
INSERT INTO sf.account (name) SELECT 'Regress dry ' || n FROM generate_series(1, 250) n;
UPDATE sf.account SET industry = 'Energy' WHERE id = ANY (ARRAY(SELECT id FROM mine WHERE name < 'Regress write 5'));
DELETE FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM mine WHERE name < 'Regress write 5'));
RESET crm.dry_run;
SELECT count(*), count(industry) FROM sf.account WHERE name LIKE 'Regress write %' OR name LIKE 'Regress dry %';
-- A CRM has no rollback.
BEGIN;
UPDATE sf.account SET annualrevenue = 5 WHERE id = ANY (ARRAY(SELECT id FROM mine WHERE name < 'Regress write 5'));
ROLLBACK;
DELETE FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM mine WHERE name < 'Regress write 5'));
-- By key: one statement creates, the next one changes.
CREATE FOREIGN TABLE keyed (id text OPTIONS (field 'Id'), code text OPTIONS (field 'ExternalId__c', remote_type 'string'), name text OPTIONS (field 'Name', remote_type 'string'), n numeric OPTIONS (field 'Number__c', remote_type 'double')) SERVER sf OPTIONS (object 'AllTypes__c', key 'ExternalId__c');
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO keyed (code, name) VALUES ('regress 1', 'Regress key 1');
INSERT INTO keyed (code, name, n) VALUES ('regress 1', 'Regress key 1', 1), ('regress 2', 'Regress key 2', 2);
INSERT INTO keyed (code, n) VALUES ('regress 1', 10), ('regress 2', NULL) RETURNING code, name, n;
INSERT INTO keyed (code, name) VALUES ('regress 1', 'a'), ('regress 3', 'Regress key 3'), ('regress 1', 'b') RETURNING code, name;
INSERT INTO keyed (code, name) VALUES ('regress 1', 'x') ON CONFLICT DO NOTHING;
DELETE FROM keyed WHERE code LIKE 'regress _';
-- Every conversion, both ways (spec section 4).
ALTER SERVER sf OPTIONS (ADD time_zone 'Europe/Vienna');
CREATE FOREIGN TABLE typed (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name', remote_type 'string'), at timestamptz OPTIONS (field 'DateTime__c', remote_type 'datetime'), day date OPTIONS (field 'Date__c', remote_type 'date'), multi text[] OPTIONS (field 'Multi__c', remote_type 'multipicklist'), is_on boolean OPTIONS (field 'Check__c', remote_type 'boolean'), precise numeric OPTIONS (field 'Precise__c', remote_type 'double'), clock time OPTIONS (field 'Time__c', remote_type 'time')) SERVER sf OPTIONS (object 'AllTypes__c');
CREATE FOREIGN TABLE days (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name', remote_type 'string'), at date OPTIONS (field 'DateTime__c', remote_type 'datetime', conversion 'date_only')) SERVER sf OPTIONS (object 'AllTypes__c');
CREATE FOREIGN TABLE walls (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name', remote_type 'string'), at timestamp OPTIONS (field 'DateTime__c', remote_type 'datetime', conversion 'without_time_offset')) SERVER sf OPTIONS (object 'AllTypes__c');
CREATE FOREIGN TABLE raws (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name', remote_type 'string'), at text OPTIONS (field 'DateTime__c', remote_type 'datetime', conversion 'copy_paste'), multi text OPTIONS (field 'Multi__c', remote_type 'multipicklist', conversion 'copy_paste'), precise text OPTIONS (field 'Precise__c', remote_type 'double', conversion 'copy_paste')) SERVER sf OPTIONS (object 'AllTypes__c');
INSERT INTO typed (name, at, day, multi, is_on, precise, clock) VALUES ('Regress typed 1', '2024-06-30 23:30:00.5+02', '2024-02-29', '{A,"Red & Blue"}', true, 123456789012345678.123456789, '14:30'), ('Regress typed 2', NULL, NULL, '{}', false, NULL, NULL) RETURNING name, at, day, multi, is_on, precise, clock;
INSERT INTO days (name, at) VALUES ('Regress typed 3', '2024-07-01') RETURNING at;
INSERT INTO walls (name, at) VALUES ('Regress typed 4', '2024-07-01 08:00:00.25') RETURNING at;
INSERT INTO raws (name, at, multi, precise) VALUES ('Regress typed 5', '2024-07-01T08:00:00+02:00', 'A;C', '1.50') RETURNING at, multi, precise;
SELECT t.name, t.at, d.at AS day, w.at AS wall, r.at AS raw, t.multi, r.multi AS raw_multi FROM typed t JOIN days d USING (id) JOIN walls w USING (id) JOIN raws r USING (id) WHERE t.name LIKE 'Regress typed %' ORDER BY 1;
DELETE FROM typed WHERE name LIKE 'Regress typed %';
ALTER SERVER sf OPTIONS (DROP time_zone);
-- Rows are routed to a foreign partition. A view's check is PostgreSQL's own and comes after the row was written.
CREATE TABLE parts (id text, name text, industry text) PARTITION BY LIST (industry);
CREATE FOREIGN TABLE part_energy PARTITION OF parts FOR VALUES IN ('Energy') SERVER sf OPTIONS (object 'Account');
ALTER FOREIGN TABLE part_energy ALTER id OPTIONS (field 'Id'), ALTER name OPTIONS (field 'Name'), ALTER industry OPTIONS (field 'Industry');
CREATE TABLE part_other PARTITION OF parts DEFAULT;
INSERT INTO parts (name, industry) VALUES ('Regress part 1', 'Energy'), ('Regress part 2', 'Local') RETURNING name, tableoid::regclass;
CREATE VIEW energetic AS SELECT name, industry FROM narrow WHERE industry = 'Energy' WITH CHECK OPTION;
INSERT INTO energetic (name, industry) VALUES ('Regress part 3', 'Banking');
DELETE FROM sf.account WHERE name LIKE 'Regress part %' RETURNING name;
-- What can never work is said before any call.
INSERT INTO sf.account (name, createddate) VALUES ('x', now());
UPDATE sf.account SET id = '001000000000001AAA';
UPDATE sf.account SET systemmodstamp = now();
CREATE FOREIGN TABLE odd (id text OPTIONS (field 'Id'), gone text OPTIONS (field 'Gone__c'), stamp timestamptz OPTIONS (field 'SystemModstamp')) SERVER sf OPTIONS (object 'Account', key 'Gone__c');
INSERT INTO odd (stamp) VALUES (now());
INSERT INTO odd (gone) VALUES ('x');
ALTER FOREIGN TABLE odd OPTIONS (SET key 'Name');
INSERT INTO odd (id) VALUES (NULL);
CREATE FOREIGN TABLE nameless (name text OPTIONS (field 'Name')) SERVER sf OPTIONS (object 'Account');
UPDATE nameless SET name = 'x';
DELETE FROM nameless;
ALTER FOREIGN TABLE sf.account OPTIONS (ADD deletable 'false', ADD insertable 'false');
SELECT pg_relation_is_updatable('sf.account'::regclass, false);
DELETE FROM sf.account;
INSERT INTO sf.account (name) VALUES ('x');
ALTER SERVER sf OPTIONS (ADD updatable 'false');
SELECT pg_relation_is_updatable('sf.alltypes__c'::regclass, false);
UPDATE sf.alltypes__c SET name = 'x';
ALTER SERVER sf OPTIONS (ADD batch_size '0');
ALTER SERVER sf OPTIONS (ADD batch_size 'many');
ALTER SERVER sf OPTIONS (ADD transport 'pigeon');
ALTER FOREIGN TABLE sf.account OPTIONS (ADD journal_key '');
DROP EXTENSION crm_fdw CASCADE;
