-- The extension can be created, lives in its own schema and says what it is.
CREATE EXTENSION crm_fdw;
SELECT e.extname, n.nspname AS schema, e.extrelocatable AS relocatable,
       obj_description(e.oid, 'pg_extension') AS description
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'crm_fdw' \gx
-- What is installed is the version that is offered.
SELECT name, default_version = installed_version AS newest
  FROM pg_available_extensions
 WHERE name = 'crm_fdw';
DROP EXTENSION crm_fdw;
