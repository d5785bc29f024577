-- Order, limit, aggregates, identifiers (S-4, S-6, S-7), and statements around a scan.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, contact, opportunity) FROM SERVER sf INTO sf;
CREATE TABLE account AS SELECT * FROM sf.account;
-- Order.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, annualrevenue FROM sf.account ORDER BY annualrevenue DESC NULLS LAST, lastmodifieddate;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, name FROM sf.account ORDER BY name;
SELECT name, annualrevenue FROM sf.account ORDER BY annualrevenue DESC NULLS LAST, name LIMIT 5;
-- Limit.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM sf.account LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM sf.account WHERE annualrevenue > 1e6 ORDER BY annualrevenue LIMIT 3 OFFSET 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM sf.account WHERE name > 'M' LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM sf.account ORDER BY annualrevenue FETCH FIRST 3 ROWS WITH TIES;
EXPLAIN (VERBOSE, COSTS OFF) SELECT DISTINCT industry FROM sf.account LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT a.id FROM sf.account a JOIN sf.contact c ON c.accountid = a.id LIMIT 3;
-- Aggregates.
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM sf.account WHERE annualrevenue > 1e6;
SELECT count(*) FROM sf.account WHERE annualrevenue > 1e6;
SELECT count(*) FROM account WHERE annualrevenue > 1e6;
SELECT count(*) FROM sf.account WHERE annualrevenue > 'infinity';
EXPLAIN (VERBOSE, COSTS OFF) SELECT min(annualrevenue), max(lastmodifieddate) FROM sf.account;
SELECT (SELECT (min(annualrevenue), max(lastmodifieddate))::text FROM sf.account) = (SELECT (min(annualrevenue), max(lastmodifieddate))::text FROM account) AS same;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM sf.account WHERE name > 'M';
EXPLAIN (VERBOSE, COSTS OFF) SELECT sum(annualrevenue) FROM sf.account;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FILTER (WHERE annualrevenue > 1) FROM sf.account;
-- Records by identifier.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, name FROM sf.account WHERE id = '001000000000001AAA' AND annualrevenue > 1e6;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, name FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM account));
SELECT count(*) = (SELECT count(*) FROM account) AS all_of_them FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM account));
SELECT count(*) FROM sf.account WHERE id IN (SELECT id FROM account ORDER BY id LIMIT 3);
SELECT count(*) FROM sf.account WHERE id = ANY (ARRAY(SELECT id FROM account UNION ALL SELECT id FROM account) || ARRAY[NULL, 'nonsense', '001000000000000AAA']);
SELECT count(*) FROM sf.account WHERE id = (SELECT left(id, 15) FROM account ORDER BY id LIMIT 1);
SELECT crm.id18(left(id, 15)) = id AS converted FROM account ORDER BY id LIMIT 1;
SELECT crm.id18('nonsense'), crm.id18('');
SELECT count(*) FROM crm.fetch(NULL::sf.account, ARRAY(SELECT left(id, 15) FROM account ORDER BY id LIMIT 5) || ARRAY(SELECT id FROM account ORDER BY id LIMIT 5));
SELECT * FROM crm.fetch(NULL::account, ARRAY['x']);
-- A generic plan, a cursor, a nested loop, a subtransaction.
PREPARE richer(numeric) AS SELECT count(name) FROM sf.account WHERE annualrevenue > $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE richer(1e6);
EXECUTE richer(1e6);
EXECUTE richer(5e6);
EXECUTE richer(NULL);
RESET plan_cache_mode;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name FROM sf.account WHERE annualrevenue IS NOT NULL ORDER BY annualrevenue, lastmodifieddate;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;
COMMIT;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT count(*) FROM (VALUES (1), (2), (3)) v(n) CROSS JOIN sf.account a WHERE a.annualrevenue > 9e6;
RESET ALL;
SELECT count(*), count(DISTINCT a.tableoid) FROM sf.account a WHERE a IS NOT NULL OR true;
SELECT (a).name FROM sf.account a WHERE id = (SELECT min(id) FROM account);
-- Conditions of every descent: subplans, aliased joins, placeholders of outer joins, late limits.
SELECT count(*) FROM sf.account WHERE annualrevenue NOT IN (SELECT annualrevenue FROM account WHERE annualrevenue IS NOT NULL);
SELECT count((SELECT f.name FROM sf.account f WHERE f.annualrevenue > l.annualrevenue LIMIT 1)) FROM (SELECT * FROM account WHERE annualrevenue IS NOT NULL ORDER BY annualrevenue LIMIT 3) l;
SELECT count(*) FROM sf.account WHERE EXISTS (SELECT 1);
CREATE TABLE bounds (b numeric);
INSERT INTO bounds VALUES (9e6), (5e6);
EXPLAIN (VERBOSE, COSTS OFF) SELECT j.name FROM (sf.opportunity JOIN bounds ON amount = b) AS j WHERE j.amount > 5;
SELECT count(*) FROM bounds l FULL JOIN (SELECT id, coalesce(annualrevenue, 0) AS z FROM sf.account) s ON l.b = s.z WHERE s.z > 9e6;
SET my.n = '2';
PREPARE late AS SELECT id FROM sf.account LIMIT current_setting('my.n')::int;
EXPLAIN (COSTS OFF) EXECUTE late;
SELECT count(*) FROM (SELECT id FROM sf.account LIMIT 9223372036854775807 OFFSET 10) x;
-- A column narrower than its field, and one that only its name makes the identifier.
CREATE FOREIGN TABLE rounded (id text OPTIONS (field 'Id'), revenue numeric(10, -6) OPTIONS (field 'AnnualRevenue', remote_type 'currency'), staff integer OPTIONS (field 'AnnualRevenue', remote_type 'currency')) SERVER sf OPTIONS (object 'Account');
EXPLAIN (VERBOSE, COSTS OFF) SELECT max(revenue) FROM rounded WHERE revenue > 2e6;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM rounded WHERE staff > 2000000;
SELECT count(*) FROM crm.fetch(NULL::rounded, ARRAY(SELECT id FROM account ORDER BY id LIMIT 3));
-- A partition is scanned in order too.
CREATE TABLE parts (id text, industry text, annualrevenue numeric) PARTITION BY LIST (industry);
CREATE FOREIGN TABLE part_energy PARTITION OF parts FOR VALUES IN ('Energy') SERVER sf OPTIONS (object 'Account');
ALTER FOREIGN TABLE part_energy ALTER id OPTIONS (field 'Id'), ALTER industry OPTIONS (field 'Industry'), ALTER annualrevenue OPTIONS (field 'AnnualRevenue', remote_type 'currency');
CREATE TABLE part_other PARTITION OF parts DEFAULT;
CREATE INDEX ON part_other (annualrevenue);
SET enable_sort = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT annualrevenue FROM parts ORDER BY annualrevenue;
RESET enable_sort;
-- ANALYZE gives the planner the CRM's own count.
ANALYZE sf.opportunity;
SELECT reltuples FROM pg_class WHERE oid = 'sf.opportunity'::regclass;
-- The CRM's own language (S-14).
SELECT row ->> 'Name' AS name, row -> 'AnnualRevenue' AS revenue, row -> 'Owner' ->> 'Name' AS owner
  FROM crm.query('sf', 'SELECT Name, AnnualRevenue, Owner.Name FROM Account WHERE AnnualRevenue > 9000000 ORDER BY AnnualRevenue LIMIT 3') AS row;
SELECT crm.query('sf', 'SELECT COUNT() FROM Account');
SELECT crm.query('sf', 'SELECT StageName, COUNT(Id) n FROM Opportunity GROUP BY StageName ORDER BY StageName LIMIT 2');
SELECT count(*) FROM crm.query('sf', 'SELECT Id FROM Contact;');
SELECT crm.query('sf', 'SELECT Nonsense FROM Account');
SELECT crm.query('sf', 'DELETE FROM Account');
-- A budget of calls stops a statement before it breaks it (S-13).
SET crm.max_api_calls = 1;
SELECT count(name) FROM sf.opportunity;
SELECT count(name) FROM sf.contact;
SELECT count(*) FROM sf.contact;
SELECT count(name) FROM sf.opportunity UNION ALL SELECT count(name) FROM sf.opportunity;
RESET crm.max_api_calls;
ALTER SERVER sf OPTIONS (ADD api_budget '2', ADD fetch_size '200');
SELECT count(name) FROM sf.opportunity;
SELECT name FROM sf.opportunity LIMIT 1 OFFSET 1700;
ALTER SERVER sf OPTIONS (SET api_budget '100', ADD api_reserve '100');
-- The allotment is known once the CRM has told it; the number of calls used is not for a test to know.
\set VERBOSITY terse
SELECT user_name FROM crm.check('sf');
SELECT count(*) FROM crm.tables('sf');
\set VERBOSITY default
ALTER SERVER sf OPTIONS (DROP api_budget, DROP api_reserve, DROP fetch_size);
DROP EXTENSION crm_fdw CASCADE;
