-- Picklists, deleted records and local copies of Oracle (N-1, N-2, L-1, L-2, I-1 to I-4).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set oracle :inputs '/common/oracle.sql'
\i :oracle
CREATE SCHEMA ora;
CREATE SCHEMA mart;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, contact, "Lead", "User") FROM SERVER ora INTO ora;
-- Picklists, with the values they depend on, in the user's language and another.
SELECT field, value, label, position, active, is_default, controlling_values FROM crm.enumerations('ora', 'Contact') WHERE field IN ('CustomPickList1', 'CustomPickList2', 'LeadSource') ORDER BY field, position;
SELECT * FROM crm.enumerations('ora', 'Nothing');
SELECT * FROM crm.sync_enumeration('ora.account', 'accounttype');
SELECT value, label, position FROM crm.enumeration_value ORDER BY position;
SELECT * FROM crm.sync_enumeration('ora.account', 'accounttype');
SELECT value FROM crm.labels('ora.account', 'accounttype') ORDER BY 1;
SELECT * FROM crm.sync_enumeration('ora.account', 'accountname');
ALTER SERVER ora OPTIONS (ADD language 'DEU');
SELECT value, label FROM crm.enumerations('ora', 'Account') WHERE field = 'AccountType' ORDER BY position;
ALTER SERVER ora OPTIONS (DROP language);
-- Deleted records.
INSERT INTO ora.account (accountname) VALUES ('Short-lived') RETURNING id AS id \gset
DELETE FROM ora.account WHERE id = :'id';
SELECT name, deleted_at BETWEEN crm.clock('ora.account'::regclass) - interval '1 minute' AND crm.clock('ora.account'::regclass) AS now, deleted_by IS NOT NULL AS by_somebody
  FROM crm.deleted('ora.account', now() - interval '1 hour') WHERE id = :'id';
SELECT count(*) FROM crm.deleted('ora.account', now() - interval '3 days', now() - interval '2 days');
SELECT count(*) >= 0 AS some FROM crm.deleted('ora.account', now() - interval '40 days', now() - interval '35 days');
SELECT count(*) FROM crm.deleted('ora."User"', now() - interval '1 hour');
-- A local copy kept true.
SELECT count(*) AS leads FROM ora."Lead" \gset
CALL crm.sync('ora."Lead"', 'mart.lead');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mart.lead'::regclass AND contype = 'p';
SELECT (SELECT count(*) FROM (SELECT id, leadlastname, company, modifieddate FROM ora."Lead" EXCEPT SELECT id, leadlastname, company, modifieddate FROM mart.lead) d) AS different, count(*) = :leads AS all_of_them FROM mart.lead;
CALL crm.sync('ora."Lead"', 'mart.lead');
INSERT INTO ora."Lead" (leadfirstname, leadlastname, company) VALUES ('Regress', 'Sync', 'Nobody') RETURNING id AS id \gset
CALL crm.sync('ora."Lead"', 'mart.lead');
SELECT leadfirstname, leadlastname FROM mart.lead WHERE id = :'id';
DELETE FROM ora."Lead" WHERE id = :'id';
CALL crm.sync('ora."Lead"', 'mart.lead');
SELECT count(*) FROM mart.lead WHERE id = :'id';
SELECT activity, source, target FROM crm.sync_state;
SELECT count(*) = :leads AS all_of_them FROM crm.import(NULL::ora."Lead", activity => 'leads');
SELECT count(*) FROM crm.import(NULL::ora."Lead", activity => 'leads');
-- Drift.
SELECT * FROM crm.diff('ora');
ALTER FOREIGN TABLE ora.account DROP COLUMN region, ALTER COLUMN accountname OPTIONS (SET label 'Old'), ADD COLUMN gone text OPTIONS (field 'Gone');
SELECT * FROM crm.diff('ora.account', new_fields => true);
DROP EXTENSION crm_fdw CASCADE;
