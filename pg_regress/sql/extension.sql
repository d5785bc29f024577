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
-- Everything in it says what it is for.
SELECT * FROM (
    SELECT pg_describe_object(classid, objid, 0) COLLATE "C" AS undescribed FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'crm_fdw') AND deptype = 'e'
       AND (classid = 'pg_proc'::regclass OR classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = objid) <> 'S')
       AND obj_description(objid, classid::regclass::name) IS NULL) x ORDER BY 1;
DROP EXTENSION crm_fdw;
