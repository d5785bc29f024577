-- The wrappers, and the parts of the SQL interface that are SQL.

-- What the functions may reach is decided by the rights on servers and by the caller's own user mapping.
GRANT USAGE ON SCHEMA crm TO PUBLIC;

CREATE FOREIGN DATA WRAPPER salesforce
    HANDLER crm.fdw_handler VALIDATOR crm.salesforce_validator
    OPTIONS (connector 'salesforce');

-- C-1: remote objects and the foreign tables they were collected into.
CREATE FUNCTION crm.tables(server text)
RETURNS TABLE (
    object text, label text, custom boolean, selectable boolean, insertable boolean, updatable boolean,
    deletable boolean, changes_tracked boolean, deletions_tracked boolean, foreign_tables regclass[])
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT remote.object, remote.label, remote.custom, remote.selectable, remote.insertable, remote.updatable,
           remote.deletable, remote.changes_tracked, remote.deletions_tracked, collected.foreign_tables
    FROM crm.remote_objects(server) AS remote
    LEFT JOIN LATERAL (
        SELECT array_agg(t.ftrelid::regclass ORDER BY t.ftrelid) AS foreign_tables
        FROM pg_foreign_table t
        JOIN pg_foreign_server s ON s.oid = t.ftserver
        CROSS JOIN LATERAL pg_options_to_table(t.ftoptions) o
        WHERE s.srvname = tables.server AND o.option_name = 'object' AND o.option_value = remote.object
    ) AS collected ON true
    ORDER BY remote.object
$$;
COMMENT ON FUNCTION crm.tables(text) IS 'remote objects of a server, and the foreign tables they were collected into';

-- C-4: labels kept as options become comments.
CREATE FUNCTION crm.comment(schema regnamespace)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item record;
    written integer := 0;
BEGIN
    FOR item IN
        SELECT format('FOREIGN TABLE %s', c.oid::regclass) AS target, o.option_value AS label
        FROM pg_class c
        JOIN pg_foreign_table t ON t.ftrelid = c.oid
        JOIN pg_foreign_server s ON s.oid = t.ftserver
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
        CROSS JOIN LATERAL pg_options_to_table(t.ftoptions) o
        WHERE c.relnamespace = schema AND w.fdwhandler = 'crm.fdw_handler'::regproc AND o.option_name = 'label'
        UNION ALL
        SELECT format('COLUMN %s.%I', c.oid::regclass, a.attname), o.option_value
        FROM pg_class c
        JOIN pg_foreign_table t ON t.ftrelid = c.oid
        JOIN pg_foreign_server s ON s.oid = t.ftserver
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL pg_options_to_table(a.attfdwoptions) o
        WHERE c.relnamespace = schema AND w.fdwhandler = 'crm.fdw_handler'::regproc AND o.option_name = 'label'
    LOOP
        EXECUTE format('COMMENT ON %s IS %L', item.target, item.label);
        written := written + 1;
    END LOOP;
    RETURN written;
END
$$;
COMMENT ON FUNCTION crm.comment(regnamespace) IS 'turns the labels of the foreign tables of a schema into comments; gives how many';

-- S-4: records by identifier, in either form, in batches as large as the API takes.
CREATE FUNCTION crm.fetch(foreign_table anyelement, ids text[])
RETURNS SETOF anyelement
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
    identifier name;
BEGIN
    SELECT t.typrelid::regclass INTO relation
    FROM pg_type t JOIN pg_foreign_table f ON f.ftrelid = t.typrelid
    WHERE t.oid = pg_typeof(foreign_table);
    IF relation IS NULL THEN
        RAISE EXCEPTION 'crm.fetch needs a foreign table''s row type, not %', pg_typeof(foreign_table)
            USING ERRCODE = 'wrong_object_type', HINT = 'Call it as crm.fetch(NULL::schema.table, ids).';
    END IF;
    identifier := crm.identifier_column(relation);
    IF identifier IS NULL THEN
        RAISE EXCEPTION 'foreign table % has no identifier column', relation
            USING ERRCODE = 'undefined_column',
                  HINT = 'Give the column of the record identifier the option identifier ''true''.';
    END IF;
    RETURN QUERY EXECUTE format('SELECT * FROM %s WHERE %I = ANY ($1)', relation, identifier)
        USING ARRAY(SELECT coalesce(crm.canonical_id(relation, id), id) FROM unnest(ids) AS id WHERE id IS NOT NULL);
END
$$;
COMMENT ON FUNCTION crm.fetch(anyelement, text[]) IS 'the records of a foreign table with these identifiers, in any form the CRM takes';

-- S-14: a query in the CRM's own language, read-only. What the CRM adds to each record beside its fields is left out.
CREATE FUNCTION crm.query(server text, query text)
RETURNS SETOF jsonb
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT document::jsonb - 'attributes' FROM crm.native_query(server, query) AS document
$$;
COMMENT ON FUNCTION crm.query(text, text) IS 'records of a query in the CRM''s own language, as jsonb';
