-- Records and calls that a CRM refuses (spec section 6).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, alltypes__c) FROM SERVER sf INTO sf;
-- What the metadata tells is refused before a call, the rest by the CRM; the others are written.
INSERT INTO sf.alltypes__c (name, restrictedpick__c, number__c) VALUES ('Regress reject 1', 'A', 1), ('Regress reject 2', 'nonsense', 2), (repeat('x', 81), 'A', 3), ('Refused by a rule', 'A', 4), ('Regress reject 5', 'A', 1e20), ('Regress reject 6', 'A', 'NaN'), ('Regress reject 7', NULL, NULL) RETURNING name, number__c;
INSERT INTO sf.account (name, industry) VALUES (NULL, 'Energy');
INSERT INTO sf.account (industry) VALUES ('Energy');
INSERT INTO sf.alltypes__c (name, multi__c) VALUES ('Regress reject 8', '{A,NULL}'), ('Regress reject 9', '{"A;B"}');
INSERT INTO sf.alltypes__c (id, name) VALUES ('nonsense', 'x'), ('001000000000001AAA', 'x');
CREATE TEMP TABLE mine AS SELECT id, name FROM sf.alltypes__c WHERE name LIKE 'Regress reject %';
SELECT name FROM mine ORDER BY name;
-- The first one may stop the statement.
ALTER FOREIGN TABLE sf.alltypes__c OPTIONS (ADD on_reject 'error');
INSERT INTO sf.alltypes__c (name, restrictedpick__c) VALUES ('x', 'nonsense');
ALTER FOREIGN TABLE sf.alltypes__c OPTIONS (DROP on_reject);
-- Kept, mended, and sent again.
ALTER FOREIGN TABLE sf.alltypes__c OPTIONS (ADD process_rejects 'true');
INSERT INTO sf.alltypes__c (name, restrictedpick__c, number__c, date__c) VALUES ('Regress reject 11', 'nonsense', 1.50, '2024-02-29'), ('Refused 12', 'A', NULL, NULL);
SET client_min_messages = error;
UPDATE sf.alltypes__c SET restrictedpick__c = 'nonsense' WHERE id = (SELECT id FROM mine WHERE name = 'Regress reject 1');
RESET client_min_messages;
DELETE FROM sf.alltypes__c WHERE id = 'a00000000000999AAA';
SELECT server, foreign_table, operation, kind, record - 'id' AS record, remote_id = (SELECT id FROM mine WHERE name = 'Regress reject 1') AS mine, column_name, error_symbol, error_message, tries FROM crm.rejects ORDER BY reject_id;
SET client_min_messages = error;
SELECT * FROM crm.retry_rejects('sf.alltypes__c') ORDER BY 1, 2;
SELECT operation, error_symbol, tries FROM crm.rejects ORDER BY 1, 2;
CREATE ROLE regress_mender;
UPDATE crm.rejects SET record = jsonb_set(jsonb_set(record, '{restrictedpick__c}', '"B"'), '{name}', '"Regress reject 13"') WHERE operation <> 'delete';
SELECT * FROM crm.retry_rejects() ORDER BY 1, 2, 3;
RESET client_min_messages;
SELECT operation, tries FROM crm.rejects ORDER BY operation;
SELECT name, restrictedpick__c, number__c, date__c FROM sf.alltypes__c WHERE name = 'Regress reject 13' ORDER BY number__c;
-- Each role sees its own.
SET ROLE regress_mender;
SELECT count(*) FROM crm.rejects;
RESET ROLE;
DROP ROLE regress_mender;
DELETE FROM crm.rejects;
ALTER FOREIGN TABLE sf.alltypes__c OPTIONS (DROP process_rejects);
DELETE FROM sf.alltypes__c WHERE name LIKE 'Regress reject %';
-- A call that fails as a whole is an error.
ALTER SERVER sf OPTIONS (ADD max_retries '0');
ALTER USER MAPPING FOR CURRENT_USER SERVER sf OPTIONS (SET password 'TEST wrong');
INSERT INTO sf.account (name) VALUES ('x');
DROP EXTENSION crm_fdw CASCADE;
