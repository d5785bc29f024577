-- Joins on the record identifier (S-4): identifiers are collected and fetched in batches, or the table is scanned.
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (account, opportunity) FROM SERVER sf INTO sf;
CREATE TABLE account AS SELECT * FROM sf.account;
CREATE TABLE opportunity AS SELECT * FROM sf.opportunity;
CREATE TABLE leads AS
SELECT n, CASE n % 4 WHEN 0 THEN NULL ELSE id END AS crm_id
FROM (SELECT id, row_number() OVER (ORDER BY name, id) AS n FROM account) AS a WHERE n <= 12;
INSERT INTO leads SELECT n + 100, crm_id FROM leads WHERE n <= 3;
INSERT INTO leads VALUES (201, 'nonsense'), (202, '001000000000001AAA');
INSERT INTO leads SELECT 203, left(crm_id, 15) FROM leads WHERE n = 1;
ANALYZE leads;
-- Each kind of join, and what is collected from where.
EXPLAIN (COSTS OFF) SELECT l.n, a.name FROM leads l JOIN sf.account a ON a.id = l.crm_id;
SELECT l.n, a.name FROM leads l JOIN sf.account a ON a.id = l.crm_id ORDER BY n;
EXPLAIN (VERBOSE, COSTS OFF) SELECT l.n, a.name FROM leads l LEFT JOIN sf.account a ON a.id = l.crm_id AND a.annualrevenue > 1e6 AND a.name > l.crm_id WHERE coalesce(a.name, '-') < 'X';
EXPLAIN (COSTS OFF) SELECT l.n, a.name FROM leads l LEFT JOIN sf.account a ON a.id = l.crm_id AND a.annualrevenue > 1e6;
(SELECT l.n, a.name FROM leads l LEFT JOIN sf.account a ON a.id = l.crm_id AND a.annualrevenue > 1e6 EXCEPT ALL SELECT l.n, a.name FROM leads l LEFT JOIN account a ON a.id = l.crm_id AND a.annualrevenue > 1e6)
UNION ALL (SELECT l.n, a.name FROM leads l LEFT JOIN account a ON a.id = l.crm_id AND a.annualrevenue > 1e6 EXCEPT ALL SELECT l.n, a.name FROM leads l LEFT JOIN sf.account a ON a.id = l.crm_id AND a.annualrevenue > 1e6);
EXPLAIN (COSTS OFF) SELECT name FROM sf.account WHERE id IN (SELECT crm_id FROM leads);
SELECT name FROM sf.account WHERE id IN (SELECT crm_id FROM leads WHERE n < 200) ORDER BY name;
EXPLAIN (COSTS OFF) SELECT n FROM leads WHERE EXISTS (SELECT FROM sf.account WHERE id = crm_id AND name > 'A');
EXPLAIN (COSTS OFF) SELECT n FROM leads WHERE NOT EXISTS (SELECT FROM sf.account WHERE id = crm_id);
SELECT n FROM leads WHERE NOT EXISTS (SELECT FROM sf.account WHERE id = crm_id) ORDER BY n;
-- An estimate counts calls.
DO $$
DECLARE plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) SELECT a.name FROM leads l JOIN sf.account a ON a.id = l.crm_id' INTO plan;
    plan := plan -> 0 -> 'Plan';
    RAISE NOTICE '%: % a call, % call', plan ->> 'Custom Plan Provider', plan -> 'Batch Size', plan -> 'Estimated API Calls';
END
$$;
-- Two tables, one of which leads to the other; a view; a subquery's expression under an outer join.
EXPLAIN (COSTS OFF) SELECT o.name, a.name FROM (SELECT id AS opp FROM opportunity ORDER BY id LIMIT 5) AS l JOIN sf.opportunity o ON o.id = l.opp JOIN sf.account a ON a.id = o.accountid;
CREATE VIEW known AS SELECT id, coalesce(industry, 'none') AS industry FROM sf.account;
EXPLAIN (COSTS OFF) SELECT n, industry FROM leads LEFT JOIN known ON id = crm_id;
SELECT n, industry FROM leads LEFT JOIN known ON id = crm_id WHERE n < 6 ORDER BY n;
-- Outer rows keep their order; a limit above stops early; an expression gives the identifiers.
EXPLAIN (COSTS OFF) SELECT l.n, a.name FROM (SELECT * FROM leads ORDER BY n) AS l JOIN sf.account a ON a.id = crm.id18(l.crm_id) ORDER BY l.n LIMIT 3;
SELECT l.n, a.name FROM leads l JOIN sf.account a ON a.id = crm.id18(l.crm_id) WHERE l.n IN (1, 203) ORDER BY l.n;
-- A plan that is run again.
PREPARE named(int) AS SELECT n, name FROM leads LEFT JOIN sf.account ON id = crm_id WHERE n <= $1 ORDER BY n;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE named(2);
EXECUTE named(1);
EXECUTE named(0);
EXECUTE named(3);
RESET plan_cache_mode;
SELECT g, (SELECT string_agg(name, ', ' ORDER BY name) FROM leads JOIN sf.account ON id = crm_id WHERE n <= g) FROM generate_series(1, 3) AS g;
-- Not by another kind of equality, not when it is switched off, not for a join that wants every record.
EXPLAIN (COSTS OFF) SELECT n FROM leads l JOIN sf.account a ON lower(a.id) = l.crm_id;
EXPLAIN (COSTS OFF) SELECT n FROM leads l RIGHT JOIN sf.account a ON a.id = l.crm_id;
SET crm.enable_lookup_join = off;
EXPLAIN (COSTS OFF) SELECT l.n, a.name FROM leads l JOIN sf.account a ON a.id = l.crm_id;
SELECT count(*) FROM leads l JOIN sf.account a ON a.id = l.crm_id;
RESET crm.enable_lookup_join;
SELECT count(*) FROM leads l JOIN sf.account a ON a.id = l.crm_id;
