-- Collecting objects (C-1 to C-5).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
SELECT user_name, api_version, auth, calls_left > 0 AS calls_left FROM crm.check('sf');
SELECT object, label, custom, selectable, insertable, deletions_tracked, foreign_tables
  FROM crm.tables('sf') WHERE object IN ('Account', 'Contact', 'AllTypes__c', 'UserChangeEvent');
SELECT field, remote_type, local_type, length, precision, scale, nullable, required, filterable, enumeration, references_to
  FROM crm.fields('sf', 'AllTypes__c');
CREATE SCHEMA std;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, "Contact") FROM SERVER sf INTO std;
\d std.account
\d std."Contact"
SELECT foreign_tables FROM crm.tables('sf') WHERE object = 'Account';
SELECT crm.comment('std');
SELECT col_description('std.account'::regclass, 2), obj_description('std.account'::regclass);
-- Names that clash after folding, a type nobody knows.
CREATE SCHEMA custom;
IMPORT FOREIGN SCHEMA custom LIMIT TO (alltypes__c) FROM SERVER sf INTO custom;
\d custom.alltypes__c
CREATE SCHEMA keep;
IMPORT FOREIGN SCHEMA custom LIMIT TO ("AllTypes__c") FROM SERVER sf INTO keep OPTIONS (case 'keep', conversion 'without_time_offset', not_null 'true');
\d keep."AllTypes__c"
-- Enumerations (N-1).
SELECT field, value, label, position, active, is_default, controlling_values FROM crm.enumerations('sf', 'Opportunity') WHERE field IN ('StageName', 'LeadSource') AND position < 4;
SELECT count(DISTINCT object) > 3 AS of_many_objects, bool_or(object = 'Account' AND field = 'Industry') AS industries FROM crm.enumerations('sf');
SELECT * FROM crm.enumerations('sf', 'Nothing__c');
-- All of one kind but some.
CREATE SCHEMA most;
IMPORT FOREIGN SCHEMA custom EXCEPT (wide__c) FROM SERVER sf INTO most;
SELECT count(*) > 0 AS some, bool_or(ftrelid::regclass::text = 'most.wide__c') AS wide FROM pg_foreign_table WHERE ftrelid::regclass::text LIKE 'most.%';
-- What goes wrong is said.
IMPORT FOREIGN SCHEMA nonsense FROM SERVER sf INTO std;
IMPORT FOREIGN SCHEMA standard LIMIT TO (acount) FROM SERVER sf INTO std;
IMPORT FOREIGN SCHEMA custom LIMIT TO (account) FROM SERVER sf INTO std;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account) FROM SERVER sf INTO keep OPTIONS (colour 'blue');
SELECT * FROM crm.fields('sf', 'Nothing__c');
SELECT * FROM crm.tables('nowhere');
DROP EXTENSION crm_fdw CASCADE;
