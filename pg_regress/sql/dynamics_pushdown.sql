-- What is sent to Dynamics and what is not (S-2, S-3, S-5): each rule as the query sent and as the rows it gives.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set dynamics :inputs '/common/dynamics.sql'
\i :dynamics
CREATE SCHEMA dyn;
IMPORT FOREIGN SCHEMA "all" LIMIT TO (account, opportunity, new_alltypes) FROM SERVER dyn INTO dyn;
-- A table made by hand that does not say how the CRM calls the records shows the object in braces.
CREATE FOREIGN TABLE narrow (id uuid OPTIONS (field 'accountid', identifier 'true'), revenue numeric OPTIONS (field 'revenue', remote_type 'MoneyType')) SERVER dyn OPTIONS (object 'account');
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM narrow WHERE revenue > 1e6;
ALTER SERVER dyn OPTIONS (ADD pushdown 'off');
CREATE TABLE account AS SELECT * FROM dyn.account;
CREATE TABLE opportunity AS SELECT * FROM dyn.opportunity;
CREATE TABLE new_alltypes AS SELECT * FROM dyn.new_alltypes;
ALTER SERVER dyn OPTIONS (DROP pushdown);
\set shown :inputs '/common/shown.sql'
\i :shown
-- Whole plans, an order and a bound among them.
EXPLAIN (VERBOSE, COSTS OFF) SELECT name, revenue FROM dyn.account WHERE numberofemployees > 100 AND name > 'M' AND revenue > 1e6;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM dyn.account WHERE numberofemployees > 100 ORDER BY numberofemployees DESC NULLS LAST LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM dyn.account WHERE numberofemployees > 100 ORDER BY name LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM dyn.account WHERE numberofemployees > 100;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM dyn.account WHERE accountid = ANY ('{00000000-0000-4000-8000-000000000001,00000000-0000-4000-8000-000000000002}');
-- Numbers and options.
SELECT shown('account', 'revenue > 1e6');
SELECT shown('account', 'numberofemployees = 100');
SELECT shown('account', 'numberofemployees <> 100');
SELECT shown('account', 'numberofemployees BETWEEN 100 AND 1000');
SELECT shown('account', 'numberofemployees IN (100, 5986, 3)');
SELECT shown('account', 'numberofemployees NOT IN (100, 5986)');
SELECT shown('account', 'industrycode = 1');
SELECT shown('account', 'statecode <> 1');
SELECT shown('new_alltypes', 'new_float >= 0.5');
SELECT shown('new_alltypes', 'new_decimal = 1.5');
SELECT shown('new_alltypes', 'new_big > 1');
SELECT shown('new_alltypes', 'new_choices = ''{1}''');
-- Null tests.
SELECT shown('account', 'revenue IS NULL');
SELECT shown('account', 'description IS NOT NULL');
SELECT shown('new_alltypes', 'new_choices IS NULL');
-- Dates and times.
SELECT shown('opportunity', 'estimatedclosedate >= DATE ''2021-01-01''');
SELECT shown('opportunity', 'estimatedclosedate <> DATE ''2021-06-06''');
SELECT shown('opportunity', 'estimatedclosedate < DATE ''1700-01-01''');
SELECT shown('opportunity', 'modifiedon >= timestamptz ''2024-01-01 00:00+00''');
SELECT shown('opportunity', 'modifiedon > timestamptz ''2024-01-01 00:00:00.25+00''');
SELECT shown('new_alltypes', 'new_whenlocal >= timestamp ''2000-01-01 00:00''');
SELECT shown('new_alltypes', 'new_whenlocal < timestamp ''2024-06-30 08:00:00.5''');
SELECT shown('new_alltypes', 'new_whenlocal = timestamp ''2024-06-30 08:00''');
SELECT shown('new_alltypes', 'new_whenlocal IN (timestamp ''2000-01-01 00:00'', timestamp ''2024-06-30 08:00'')');
SELECT shown('new_alltypes', 'new_whenlocal <> timestamp ''2024-06-30 08:00''');
SELECT shown('new_alltypes', 'new_whenlocal >= DATE ''2000-01-01''');
SELECT shown('new_alltypes', 'new_whenlocal >= timestamptz ''2000-01-01 00:00+00''');
SELECT shown('new_alltypes', 'new_whenlocal < ''infinity''');
SELECT shown('new_alltypes', 'new_day = DATE ''2024-02-29''');
-- Texts, lookups and truth values stay here in this mode.
SELECT shown('account', 'name = ''Omba 230''');
SELECT shown('account', 'primarycontactid = ''00000000-0000-4000-8000-000000000001''');
SELECT shown('account', 'donotphone');
-- AND, OR, NOT.
SELECT shown('account', 'numberofemployees > 100 AND name > ''M''');
SELECT shown('account', 'numberofemployees > 5000 OR revenue IS NULL');
SELECT shown('account', 'numberofemployees > 5000 OR name = ''Omba 230''');
SELECT shown('account', 'NOT (numberofemployees > 100)');
-- The same with pushdown 'extended'.
ALTER SERVER dyn OPTIONS (ADD pushdown 'extended');
SELECT count(*) FROM dyn.account WHERE accountid IS NULL;
SELECT shown('account', 'name = ''Omba 230''');
SELECT shown('account', 'name = ''OMBA 230''');
SELECT shown('account', 'name = ''it''''s \ "quoted"''');
SELECT shown('account', 'name <> ''Omba 230''');
SELECT shown('account', 'name LIKE ''Om%''');
SELECT shown('account', 'name LIKE ''%\_%''');
SELECT shown('account', 'name ILIKE ''om%''');
SELECT shown('account', 'name > ''M''');
SELECT shown('account', 'primarycontactid = ''00000000-0000-4000-8000-000000000001''');
SELECT shown('account', 'ownerid IN (''00000000-0000-4000-8000-000000000001'', ''00000000-0000-4000-8000-000000000002'')');
SELECT shown('account', 'ownerid > ''00000000-0000-4000-8000-000000000001''');
SELECT shown('account', 'donotphone');
SELECT shown('account', 'NOT donotphone');
DROP EXTENSION crm_fdw CASCADE;
