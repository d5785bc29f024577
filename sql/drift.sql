-- What has changed in the CRM since tables were collected, and bringing them in line (C-6).

CREATE FUNCTION crm.diff(of_table regclass, new_fields boolean DEFAULT NULL)
RETURNS TABLE (foreign_table regclass, statement text, reason text)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.foreign_table::regclass, d.statement, d.reason FROM crm.drift(ARRAY[$1::oid], $2) d
$$;
COMMENT ON FUNCTION crm.diff(regclass, boolean) IS
    'the statements that would bring a foreign table in line with the CRM today';

CREATE FUNCTION crm.diff(of_schema regnamespace, new_fields boolean DEFAULT NULL, new_objects boolean DEFAULT false)
RETURNS TABLE (foreign_table regclass, statement text, reason text)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    WITH collected AS (
        SELECT c.oid AS relation, s.srvname::text AS server, o.option_value AS object
        FROM pg_class c
        JOIN pg_foreign_table t ON t.ftrelid = c.oid
        JOIN pg_foreign_server s ON s.oid = t.ftserver
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwhandler = 'crm.fdw_handler'::regproc
        CROSS JOIN LATERAL pg_options_to_table(t.ftoptions) o
        WHERE c.relnamespace = $1 AND o.option_name = 'object'
    )
    SELECT d.foreign_table::regclass, d.statement, d.reason
    FROM crm.drift(ARRAY(SELECT relation FROM collected ORDER BY relation::regclass::text COLLATE "C"), $2) d
    UNION ALL
    SELECT NULL, u.statement, u.reason
    FROM (SELECT server, array_agg(object) AS objects FROM collected WHERE $3 GROUP BY server) AS by_server
    CROSS JOIN LATERAL crm.uncollected(by_server.server, (SELECT nspname FROM pg_namespace WHERE oid = $1), by_server.objects) u
$$;
COMMENT ON FUNCTION crm.diff(regnamespace, boolean, boolean) IS
    'the statements that would bring the foreign tables of a schema in line with the CRM today';

-- A literal is either; a table of that name comes first. The caller's search path counts, so names are in full.
CREATE FUNCTION crm.diff(of_name text, new_fields boolean DEFAULT NULL, new_objects boolean DEFAULT false)
RETURNS TABLE (foreign_table regclass, statement text, reason text)
LANGUAGE plpgsql
AS $$
BEGIN
    IF pg_catalog.to_regclass(of_name) IS NOT NULL
        OR pg_catalog.to_regnamespace(of_name) IS NULL THEN
        RETURN QUERY SELECT d.foreign_table, d.statement, d.reason
            FROM crm.diff(of_name::pg_catalog.regclass, new_fields) d;
    ELSE
        RETURN QUERY SELECT d.foreign_table, d.statement, d.reason
            FROM crm.diff(of_name::pg_catalog.regnamespace, new_fields, new_objects) d;
    END IF;
END
$$;
COMMENT ON FUNCTION crm.diff(text, boolean, boolean) IS 'the same for the name of a foreign table or of a schema';

CREATE FUNCTION crm.refresh(of_table regclass, new_fields boolean DEFAULT NULL)
RETURNS TABLE (foreign_table text, statement text, reason text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    FOR foreign_table, statement, reason IN SELECT d.foreign_table::text, d.statement, d.reason FROM crm.diff($1, $2) d LOOP
        EXECUTE statement;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION crm.refresh(regclass, boolean) IS 'does what crm.diff proposes, and gives what it did';

CREATE FUNCTION crm.refresh(of_schema regnamespace, new_fields boolean DEFAULT NULL, new_objects boolean DEFAULT false)
RETURNS TABLE (foreign_table text, statement text, reason text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    FOR foreign_table, statement, reason IN SELECT d.foreign_table::text, d.statement, d.reason FROM crm.diff($1, $2, $3) d LOOP
        EXECUTE statement;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION crm.refresh(regnamespace, boolean, boolean) IS 'does what crm.diff proposes, and gives what it did';

CREATE FUNCTION crm.refresh(of_name text, new_fields boolean DEFAULT NULL, new_objects boolean DEFAULT false)
RETURNS TABLE (foreign_table text, statement text, reason text)
LANGUAGE plpgsql
AS $$
BEGIN
    IF pg_catalog.to_regclass(of_name) IS NOT NULL
        OR pg_catalog.to_regnamespace(of_name) IS NULL THEN
        RETURN QUERY SELECT r.foreign_table, r.statement, r.reason
            FROM crm.refresh(of_name::pg_catalog.regclass, new_fields) r;
    ELSE
        RETURN QUERY SELECT r.foreign_table, r.statement, r.reason
            FROM crm.refresh(of_name::pg_catalog.regnamespace, new_fields, new_objects) r;
    END IF;
END
$$;
COMMENT ON FUNCTION crm.refresh(text, boolean, boolean) IS 'the same for the name of a foreign table or of a schema';
