-- Collecting objects of Dynamics (C-1 to C-5).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set dynamics :inputs '/common/dynamics.sql'
\i :dynamics
SELECT user_name, api_version, auth, calls_left FROM crm.check('dyn');
SELECT object, label, custom, selectable, insertable, updatable, deletable, changes_tracked, deletions_tracked, foreign_tables
  FROM crm.tables('dyn') WHERE object IN ('account', 'contact', 'new_alltypes', 'systemuser', 'transactioncurrency', 'new_alltypes_contact') ORDER BY 1;
SELECT field, remote_type, local_type, length, precision, scale, nullable, required, filterable, sortable, enumeration, references_to
  FROM crm.fields('dyn', 'new_alltypes');
CREATE SCHEMA std;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, "Contact") FROM SERVER dyn INTO std;
\d std.account
\d std."Contact"
SELECT foreign_tables FROM crm.tables('dyn') WHERE object = 'account';
SELECT crm.comment('std');
SELECT col_description('std.account'::regclass, attnum), obj_description('std.account'::regclass) FROM pg_attribute WHERE attrelid = 'std.account'::regclass AND attname = 'revenue';
-- Every type, and one that nobody knows.
CREATE SCHEMA custom;
IMPORT FOREIGN SCHEMA custom LIMIT TO (new_alltypes) FROM SERVER dyn INTO custom;
\d custom.new_alltypes
CREATE SCHEMA keep;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (opportunity) FROM SERVER dyn INTO keep OPTIONS (conversion 'without_time_offset', not_null 'true');
\d keep.opportunity
-- Option sets as labels (N-3).
ALTER SERVER dyn OPTIONS (ADD value_format 'label');
CREATE SCHEMA labels;
IMPORT FOREIGN SCHEMA custom LIMIT TO (new_alltypes) FROM SERVER dyn INTO labels;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'labels.new_alltypes'::regclass AND attname IN ('new_choice', 'new_choices', 'statecode', 'statuscode', 'new_yesno') ORDER BY 1;
SELECT new_name, v.new_choice, l.new_choice, v.new_choices, l.new_choices, v.statuscode, l.statuscode
  FROM custom.new_alltypes v JOIN labels.new_alltypes l USING (new_alltypesid, new_name) WHERE v.new_choice IS NOT NULL ORDER BY 1, 2, 4 LIMIT 5;
ALTER SERVER dyn OPTIONS (DROP value_format);
-- A table says for itself what its columns are to show.
ALTER FOREIGN TABLE custom.new_alltypes OPTIONS (ADD value_format 'label');
SELECT statement, reason FROM crm.diff('custom.new_alltypes');
SELECT count(*) FROM crm.refresh('custom.new_alltypes');
SELECT statement FROM crm.diff('custom.new_alltypes');
SELECT new_name, new_choice, new_choices, statuscode FROM custom.new_alltypes WHERE new_choice = 'Grün';
ALTER FOREIGN TABLE custom.new_alltypes OPTIONS (SET value_format 'value');
SELECT statement, reason FROM crm.diff('custom.new_alltypes') WHERE statement LIKE '%new_choice %';
-- What goes wrong is said.
IMPORT FOREIGN SCHEMA standard LIMIT TO (acount) FROM SERVER dyn INTO std;
IMPORT FOREIGN SCHEMA custom LIMIT TO (account) FROM SERVER dyn INTO std;
SELECT * FROM crm.fields('dyn', 'new_nothing');
CREATE FOREIGN TABLE wrong (accountid uuid OPTIONS (field 'accountid'), gone text OPTIONS (field 'new_gone')) SERVER dyn OPTIONS (object 'account');
\set VERBOSITY terse
SELECT gone FROM wrong LIMIT 1;
\set VERBOSITY default
CREATE FOREIGN TABLE wronger (id uuid OPTIONS (field 'new_nothingid')) SERVER dyn OPTIONS (object 'new_nothing');
SELECT count(*) FROM wronger;
ALTER SERVER dyn OPTIONS (ADD api_version '66.0');
ALTER SERVER dyn OPTIONS (ADD deployment 'cloud');
ALTER SERVER dyn OPTIONS (ADD tenent 'x');
ALTER SERVER dyn OPTIONS (ADD password 'x');
ALTER FOREIGN TABLE std.account OPTIONS (ADD value_format 'words');
-- What only a superuser may set, and a role that brings no secret (A-2, A-5).
CREATE ROLE regress_analyst;
GRANT USAGE ON FOREIGN DATA WRAPPER dynamics TO regress_analyst;
GRANT USAGE ON FOREIGN SERVER dyn TO regress_analyst;
SET ROLE regress_analyst;
CREATE SERVER own FOREIGN DATA WRAPPER dynamics OPTIONS (url 'https://contoso.crm4.dynamics.com', authority 'https://login.contoso.example');
CREATE USER MAPPING FOR regress_analyst SERVER dyn OPTIONS (username 'me@contoso.test');
SELECT * FROM crm.tables('dyn');
-- A secret goes to the vendor's hosts, or where a superuser says.
CREATE SERVER own FOREIGN DATA WRAPPER dynamics OPTIONS (url 'https://crm.contoso.example/org', deployment 'on_premise');
RESET ROLE;
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (username 'CONTOSO\me', password 'a test value');
SELECT * FROM crm.tables('own');
DROP USER MAPPING FOR CURRENT_USER SERVER own;
DROP OWNED BY regress_analyst;
DROP ROLE regress_analyst;
DROP EXTENSION crm_fdw CASCADE;
