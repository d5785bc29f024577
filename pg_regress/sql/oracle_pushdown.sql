-- What is sent to Oracle and what is not (S-2, S-3, S-5): each rule as the query sent and as the rows it gives.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set oracle :inputs '/common/oracle.sql'
\i :oracle
CREATE SCHEMA ora;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, opportunity, servicerequest) FROM SERVER ora INTO ora;
ALTER SERVER ora OPTIONS (ADD pushdown 'off');
CREATE TABLE account AS SELECT * FROM ora.account;
CREATE TABLE opportunity AS SELECT * FROM ora.opportunity;
CREATE TABLE servicerequest AS SELECT * FROM ora.servicerequest;
ALTER SERVER ora OPTIONS (DROP pushdown);
\set shown :inputs '/common/shown.sql'
\i :shown
-- Whole plans.
EXPLAIN (VERBOSE, COSTS OFF) SELECT accountname, annualrevenues FROM ora.account WHERE numberemployees > 100 AND accountname > 'M' AND annualrevenues > 1e6;
EXPLAIN (VERBOSE, COSTS OFF) SELECT accountname FROM ora.account LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT accountname FROM ora.account WHERE numberemployees > 100 ORDER BY numberemployees LIMIT 10;
CREATE FOREIGN TABLE narrow (id text OPTIONS (field 'Id', remote_type 'ID'), n integer OPTIONS (field 'NumberEmployees', remote_type 'Integer'), made timestamp OPTIONS (field 'CreatedDate', remote_type 'Date/Time')) SERVER ora OPTIONS (object 'Account');
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM narrow WHERE n > 100;
-- The clock of a zone is no point in time.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM narrow WHERE made > timestamp '2024-01-01 00:00';
EXPLAIN (VERBOSE, COSTS OFF) SELECT accountname FROM ora.account WHERE id = ANY ('{1QA2-AAAAAA,1QA2-BBBBBB}');
-- Numbers.
SELECT shown('account', 'annualrevenues > 1e6');
SELECT shown('account', '5e6 < annualrevenues');
SELECT shown('account', 'numberemployees = 100');
SELECT shown('account', 'numberemployees <> 100');
SELECT shown('account', 'numberemployees BETWEEN 100 AND 1000');
SELECT shown('account', 'numberemployees IN (100, 5986, 3)');
SELECT shown('account', 'numberemployees NOT IN (100, 5986)');
SELECT shown('account', 'numberemployees > 99.5');
-- Null tests.
SELECT shown('account', 'annualrevenues IS NULL');
SELECT shown('account', 'description IS NOT NULL');
SELECT shown('servicerequest', 'customboolean0 IS NULL');
-- Dates and times.
SELECT shown('opportunity', 'closedate >= DATE ''2021-01-01''');
SELECT shown('opportunity', 'closedate = DATE ''2021-06-06''');
SELECT shown('opportunity', 'closedate <> DATE ''2021-06-06''');
SELECT shown('opportunity', 'modifieddate >= timestamptz ''2024-01-01 00:00+00''');
SELECT shown('opportunity', 'modifieddate > timestamptz ''2024-01-01 00:00:00.25+00''');
SELECT shown('opportunity', 'modifieddate <> timestamptz ''2024-01-01 00:00+00''');
SELECT shown('servicerequest', 'customdate25 < DATE ''2024-02-29''');
-- Texts, codes and truth values stay here in this mode.
SELECT shown('account', 'accountname = ''Omba 230''');
SELECT shown('account', 'accounttype IN (''Customer'', ''Partner'')');
SELECT shown('servicerequest', 'customboolean0');
-- AND, OR, NOT.
SELECT shown('account', 'numberemployees > 100 AND accountname > ''M''');
SELECT shown('account', 'numberemployees > 5000 OR annualrevenues IS NULL');
SELECT shown('account', 'numberemployees > 5000 OR accountname = ''Omba 230''');
SELECT shown('account', '(annualrevenues > 5e6 OR numberemployees > 5000) AND (numberemployees < 9000 OR annualrevenues IS NULL)');
SELECT shown('account', 'NOT (numberemployees > 100)');
-- The same with pushdown 'extended'.
ALTER SERVER ora OPTIONS (ADD pushdown 'extended');
SELECT shown('account', 'accountname = ''Omba 230''');
SELECT shown('account', 'accountname = ''OMBA 230''');
SELECT shown('account', 'accountname = ''it''''s "quoted"''');
SELECT shown('account', 'accountname = ''wild*card?''');
SELECT shown('account', 'accountname IN (''Omba 230'', ''None such'')');
SELECT shown('account', 'accountname <> ''Omba 230''');
SELECT shown('account', 'accountname LIKE ''Om%''');
SELECT shown('account', 'accountname ILIKE ''om%''');
SELECT shown('account', 'accountname LIKE ''%mba%''');
SELECT shown('account', 'accountname > ''M''');
SELECT shown('servicerequest', 'customboolean0');
DROP EXTENSION crm_fdw CASCADE;
