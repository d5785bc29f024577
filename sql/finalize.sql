-- The wrappers, and the parts of the SQL interface that are SQL.

-- What the functions may reach is decided by the rights on servers and by the caller's own user mapping.
GRANT USAGE ON SCHEMA crm TO PUBLIC;

CREATE FOREIGN DATA WRAPPER salesforce
    HANDLER crm.fdw_handler VALIDATOR crm.salesforce_validator
    OPTIONS (connector 'salesforce');
CREATE FOREIGN DATA WRAPPER dynamics
    HANDLER crm.fdw_handler VALIDATOR crm.dynamics_validator
    OPTIONS (connector 'dynamics');
CREATE FOREIGN DATA WRAPPER oracle_on_demand
    HANDLER crm.fdw_handler VALIDATOR crm.oracle_on_demand_validator
    OPTIONS (connector 'oracle_on_demand');

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
CREATE FUNCTION crm.fetch(foreign_table anyelement, ids anycompatiblearray)
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
    -- What is none is equal to no text, and cannot be compared with a uuid at all.
    RETURN QUERY EXECUTE format('SELECT * FROM %s WHERE %I = ANY ($1::%s)', relation, identifier, crm.identifiers_type(relation))
        USING ARRAY(SELECT coalesce(crm.canonical_id(relation, id), CASE WHEN crm.identifiers_type(relation) = 'text[]' THEN id END)
                    FROM unnest(ids::text[]) AS id WHERE id IS NOT NULL);
END
$$;
COMMENT ON FUNCTION crm.fetch(anyelement, anycompatiblearray) IS 'the records of a foreign table with these identifiers, in any form the CRM takes';

-- S-14: a query in the CRM's own language, read-only. What the CRM adds to each record beside its fields is left out.
CREATE FUNCTION crm.query(server text, query text)
RETURNS SETOF jsonb
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT document::jsonb - crm.record_annotations(server) FROM crm.native_query(server, query) AS document
$$;
COMMENT ON FUNCTION crm.query(text, text) IS 'records of a query in the CRM''s own language, as jsonb';

-- What functions that are not written in SQL are for.
COMMENT ON FUNCTION crm.check IS 'signs in to a server: who, where, which version, how many calls are left';
COMMENT ON FUNCTION crm.fields IS 'fields of a remote object, their types, and what they may be used for';
COMMENT ON FUNCTION crm.enumerations IS 'values of the enumerations of a server, or of one remote object';
COMMENT ON FUNCTION crm.connections IS 'sign-ins of this session';
COMMENT ON FUNCTION crm.disconnect IS 'forgets this session''s sign-in to a server; true if there was one';
COMMENT ON FUNCTION crm.disconnect_all IS 'forgets all sign-ins of this session; gives how many';
COMMENT ON FUNCTION crm.id18 IS 'the form of 18 characters of a Salesforce identifier; null if it is none';
COMMENT ON FUNCTION crm.export_records IS 'records of an export job: what became of each, and how to find it in the CRM';
COMMENT ON FUNCTION crm.settle_export IS 'says what became of a record that nobody knows the outcome of: accepted, or resend';
COMMENT ON FUNCTION crm.forget_export IS 'drops the journal of an export job, not the records in the CRM; true if there was one';
COMMENT ON FUNCTION crm.stat_reset IS 'sets the counters of all servers and tables to zero';
COMMENT ON FUNCTION crm.list_export_jobs IS 'used by the view crm.export_jobs';
COMMENT ON FUNCTION crm.progress_reports IS 'used by the view crm.progress';
COMMENT ON FUNCTION crm.counters IS 'used by the views crm.stat_servers and crm.stat_tables';
COMMENT ON FUNCTION crm.remote_objects IS 'used by crm.tables';
COMMENT ON FUNCTION crm.native_query IS 'used by crm.query';
COMMENT ON FUNCTION crm.record_annotations IS 'used by crm.query: names that a CRM adds to each record beside its fields';
COMMENT ON FUNCTION crm.canonical_id IS 'used by crm.fetch: an identifier as the CRM writes it';
COMMENT ON FUNCTION crm.identifier_column IS 'the column of a foreign table that identifies records';
COMMENT ON FUNCTION crm.identifiers_type IS 'used where identifiers come as texts: the type of a list that can be compared with those of a foreign table';
COMMENT ON FUNCTION crm.collected_columns IS 'columns of a foreign table and the remote fields behind them';
COMMENT ON FUNCTION crm.clock IS 'used by crm.import and crm.sync: the time by the CRM''s own clock';
COMMENT ON FUNCTION crm.deletion_log IS 'used by crm.deleted and crm.sync: records that the CRM says were deleted in a period';
COMMENT ON FUNCTION crm.offers_changes IS 'used by crm.sync: whether the CRM of a foreign table has change tokens';
COMMENT ON FUNCTION crm.follow_changes IS 'used by crm.sync: the next scan of a foreign table reads what has changed since a token was given';
COMMENT ON FUNCTION crm.followed_changes IS 'used by crm.sync: what that scan has come to';
COMMENT ON FUNCTION crm.drift IS 'used by crm.diff: how a foreign table differs from the CRM today';
COMMENT ON FUNCTION crm.uncollected IS 'used by crm.diff: remote objects without a foreign table in a schema';
COMMENT ON FUNCTION crm.enumerated_fields IS 'used by crm.sync_enumerations: fields that have an enumeration, and global enumerations';
COMMENT ON FUNCTION crm.global_enumeration IS 'used by crm.sync_enumeration: a global enumeration by its name';
COMMENT ON FUNCTION crm.name_progress IS 'used by crm.sync: what the work under way is called in crm.progress';
COMMENT ON FUNCTION crm.statement_is_limited IS 'used by crm.import: whether the statement has a LIMIT and may not see every row';
COMMENT ON FUNCTION crm.calls_made IS 'used by crm.sync: calls that this session has made to a server';
COMMENT ON FUNCTION crm.salesforce_validator IS 'checks the options of the wrapper salesforce';
COMMENT ON FUNCTION crm.dynamics_validator IS 'checks the options of the wrapper dynamics';
COMMENT ON FUNCTION crm.oracle_on_demand_validator IS 'checks the options of the wrapper oracle_on_demand';
COMMENT ON FUNCTION crm.fdw_handler IS 'the callbacks of every wrapper';
COMMENT ON FUNCTION crm.touch_option IS 'trigger of crm.option: notes when an option changed';
