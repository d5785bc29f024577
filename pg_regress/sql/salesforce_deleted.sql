-- Deleted records (L-1, L-2).
\set VERBOSITY default
\set SHOW_CONTEXT never
\getenv inputs PG_ABS_SRCDIR
\set salesforce :inputs '/common/salesforce.sql'
\i :salesforce
CREATE SCHEMA sf;
IMPORT FOREIGN SCHEMA standard LIMIT TO (lead) FROM SERVER sf INTO sf;
SELECT value AS status FROM crm.enumerations('sf', 'Lead') WHERE field = 'Status' AND active LIMIT 1 \gset
INSERT INTO sf.lead (lastname, company, status) VALUES ('Short-lived', 'Nobody', :'status') RETURNING id \gset
DELETE FROM sf.lead WHERE id = :'id';
SELECT id = :'id' AS it, deleted_at BETWEEN crm.clock('sf.lead'::regclass) - interval '1 minute' AND crm.clock('sf.lead'::regclass) AS now
  FROM crm.deleted('sf.lead', now() - interval '1 hour') WHERE id = :'id';
SELECT count(*) FROM crm.deleted('sf.lead', now() - interval '3 days', now() - interval '2 days');
-- What the CRM cannot say.
SELECT count(*) > 0 AS some FROM crm.deleted('sf.lead', now() - interval '20 days');
SELECT count(*) FROM crm.deleted('sf.lead', now() - interval '40 days');
SELECT count(*) FROM crm.deleted('sf.lead', '2020-01-02', '2020-01-01');
SELECT count(*) FROM crm.deleted('sf.lead', NULL);
SELECT count(*) FROM crm.deleted('pg_class', now());
DROP EXTENSION crm_fdw CASCADE;
