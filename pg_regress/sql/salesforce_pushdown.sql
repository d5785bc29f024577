-- What is sent and what is not (S-2, S-3, S-5): each rule twice, as the query sent and as the rows it gives.
-- The local copy was read with pushdown off; a row count of differences follows each plan.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, opportunity) FROM SERVER sf INTO sf;
IMPORT FOREIGN SCHEMA custom LIMIT TO (alltypes__c) FROM SERVER sf INTO sf;
ALTER SERVER sf OPTIONS (ADD pushdown 'off');
CREATE TABLE account AS SELECT * FROM sf.account;
CREATE TABLE opportunity AS SELECT * FROM sf.opportunity;
ALTER SERVER sf OPTIONS (DROP pushdown);
\set shown :inputs '/common/shown.sql'
\i :shown
-- Numbers.
SELECT shown('account', 'annualrevenue > 1e6');
SELECT shown('account', '5e6 < annualrevenue');
SELECT shown('account', 'annualrevenue BETWEEN 1000000 AND 2000000.50');
SELECT shown('account', 'numberofemployees = 100');
SELECT shown('account', 'numberofemployees <> 100');
SELECT shown('account', 'numberofemployees IN (100, 5986, 3)');
SELECT shown('account', 'numberofemployees NOT IN (100, 5986)');
SELECT shown('account', 'numberofemployees > 99.5');
SELECT shown('account', 'numberofemployees + 1 > 100');
SELECT shown('account', 'annualrevenue > numberofemployees');
SELECT shown('account', 'annualrevenue = ''NaN''');
SELECT shown('account', 'annualrevenue < ''Infinity''');
SELECT shown('account', 'annualrevenue > 12345678901234567890');
SELECT shown('account', 'numberofemployees > 3000000000');
-- Null tests.
SELECT shown('account', 'annualrevenue IS NULL');
SELECT shown('account', 'industry IS NOT NULL');
SELECT shown('account', 'description IS NULL');
-- Dates and times.
SELECT shown('opportunity', 'closedate >= DATE ''2021-01-01''');
SELECT shown('opportunity', 'closedate = DATE ''2021-06-06''');
SELECT shown('opportunity', 'closedate <> DATE ''2021-06-06''');
SELECT shown('opportunity', 'closedate < ''infinity''');
SELECT shown('opportunity', 'closedate > DATE ''9999-01-01''');
SELECT shown('opportunity', 'closedate >= timestamptz ''2021-06-06 12:00+00''');
SELECT shown('opportunity', 'lastmodifieddate >= timestamptz ''2024-01-01 00:00+00''');
SELECT shown('opportunity', 'lastmodifieddate > timestamptz ''2024-01-01 00:00:00.25+00''');
SELECT shown('opportunity', 'lastmodifieddate = (SELECT max(lastmodifieddate) FROM opportunity)');
SELECT shown('opportunity', 'lastmodifieddate > now() - interval ''100 years''');
SELECT shown('opportunity', 'lastmodifieddate >= DATE ''2024-01-01''');
-- Text and truth values stay here in this mode.
SELECT shown('account', 'name = ''Omba 230''');
SELECT shown('account', 'industry IN (''Energy'', ''Media'')');
SELECT shown('account', 'name LIKE ''Om%''');
SELECT shown('account', 'isdeleted');
SELECT shown('account', 'NOT isdeleted');
-- AND, OR, NOT.
SELECT shown('account', 'annualrevenue > 1e6 AND name > ''M''');
SELECT shown('account', 'annualrevenue > 5e6 OR numberofemployees > 5000');
SELECT shown('account', 'annualrevenue > 5e6 OR name = ''Omba 230''');
SELECT shown('account', 'annualrevenue > 5e6 OR (numberofemployees > 5000 AND name > ''M'')');
SELECT shown('account', '(annualrevenue > 5e6 OR numberofemployees > 5000) AND (numberofemployees < 9000 OR annualrevenue IS NULL)');
SELECT shown('account', 'NOT (annualrevenue > 1e6)');
SELECT shown('account', 'NOT (annualrevenue > 1e6 AND name = ''Omba 230'')');
-- Values that come late.
SELECT shown('account', 'annualrevenue > (SELECT avg(annualrevenue) FROM account)');
SELECT shown('account', 'numberofemployees = ANY (ARRAY(SELECT 5986))');
SELECT shown('account', 'annualrevenue > (SELECT NULL::numeric)');
SELECT shown('account', 'annualrevenue > random() * 0');
-- The same with pushdown 'extended'.
ALTER SERVER sf OPTIONS (ADD pushdown 'extended');
SELECT shown('account', 'name = ''Omba 230''');
SELECT shown('account', 'name = ''OMBA 230''');
SELECT shown('account', 'name <> ''Omba 230''');
SELECT shown('account', 'name = ''''');
SELECT shown('account', 'name = ''it''''s \ "quoted"''');
SELECT shown('account', 'industry IN (''Energy'', ''Media'')');
SELECT shown('account', 'name LIKE ''Om%''');
SELECT shown('account', 'name ILIKE ''om%''');
SELECT shown('account', 'name LIKE ''%\_%''');
SELECT shown('account', 'industry LIKE ''M%''');
SELECT shown('account', 'name NOT LIKE ''Om%''');
SELECT shown('account', 'name > ''M''');
SELECT shown('account', 'isdeleted');
SELECT shown('account', 'NOT isdeleted');
SELECT shown('account', 'isdeleted IS NOT TRUE');
SELECT shown('account', 'description = ''Sample description''');
-- Nothing at all.
ALTER SERVER sf OPTIONS (SET pushdown 'off');
SELECT shown('account', 'annualrevenue > 1e6');
DROP EXTENSION crm_fdw CASCADE;
