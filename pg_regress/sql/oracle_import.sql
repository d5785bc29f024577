-- Collecting objects of Oracle CRM On Demand (C-1 to C-5).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set oracle :inputs '/common/oracle.sql'
\i :oracle
SELECT user_name, api_version, auth, calls_left FROM crm.check('ora');
SELECT object, label, custom, selectable, insertable, updatable, deletable, changes_tracked, deletions_tracked, foreign_tables FROM crm.tables('ora') ORDER BY 1;
SELECT field, remote_type, local_type, length, nullable, required, filterable, sortable, enumeration, references_to
  FROM crm.fields('ora', 'Lead');
CREATE SCHEMA std;
IMPORT FOREIGN SCHEMA standard LIMIT TO ("Lead", servicerequest) FROM SERVER ora INTO std;
\d std."Lead"
\d std.servicerequest
SELECT foreign_tables FROM crm.tables('ora') WHERE object = 'Lead';
SELECT crm.comment('std');
SELECT col_description('std."Lead"'::regclass, attnum), obj_description('std."Lead"'::regclass) FROM pg_attribute WHERE attrelid = 'std."Lead"'::regclass AND attname = 'leadfirstname';
CREATE SCHEMA keep;
IMPORT FOREIGN SCHEMA standard LIMIT TO ("Account") FROM SERVER ora INTO keep OPTIONS (case 'keep', conversion 'without_time_offset', not_null 'true');
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'keep."Account"'::regclass AND attnum > 0 AND attname IN ('Id', 'AccountName', 'CreatedDate', 'ModifiedDate', 'AnnualRevenues') ORDER BY attnum;
-- The description that the REST interface gives.
ALTER SERVER ora OPTIONS (ADD metadata 'rest');
SELECT field, remote_type, local_type FROM crm.fields('ora', 'Lead') WHERE field IN ('Id', 'LeadFirstName', 'ModifiedDate') ORDER BY 1;
ALTER SERVER ora OPTIONS (DROP metadata);
-- What goes wrong is said.
IMPORT FOREIGN SCHEMA standard LIMIT TO (leed) FROM SERVER ora INTO std;
SELECT * FROM crm.fields('ora', 'Nothing');
CREATE FOREIGN TABLE wrong (id text OPTIONS (field 'Id'), gone text OPTIONS (field 'Gone')) SERVER ora OPTIONS (object 'Lead');
SELECT gone FROM wrong LIMIT 1;
CREATE FOREIGN TABLE wronger (id text OPTIONS (field 'Id')) SERVER ora OPTIONS (object 'Nothing');
SELECT count(*) FROM wronger;
ALTER SERVER ora OPTIONS (ADD auth 'password');
ALTER SERVER ora OPTIONS (ADD password 'x');
DROP EXTENSION crm_fdw CASCADE;
