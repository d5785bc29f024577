-- Local copies of the CRM's enumerations (N-2, N-3).
--
-- They belong to a server and are there for every role that may use it, so that one role can keep them current and
-- others join to them. A server is known by its name: a dump brings copies back, whatever numbers the catalogs give.

CREATE TABLE crm.enumeration (
    server text NOT NULL,
    name text NOT NULL,
    label text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server, name)
);
COMMENT ON TABLE crm.enumeration IS 'local enumerations; updated_at moves when a value changes';

CREATE TABLE crm.enumeration_field (
    server text NOT NULL,
    object text NOT NULL,
    field text NOT NULL,
    enumeration text NOT NULL,
    PRIMARY KEY (server, object, field),
    FOREIGN KEY (server, enumeration) REFERENCES crm.enumeration (server, name) ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE crm.enumeration_field IS 'which local enumeration a field of the CRM fills';

CREATE TABLE crm.enumeration_value (
    server text NOT NULL,
    enumeration text NOT NULL,
    value text NOT NULL,
    label text NOT NULL,
    position integer,
    active boolean NOT NULL DEFAULT true,
    is_default boolean NOT NULL DEFAULT false,
    controlling_values text[],
    record_types text[],
    PRIMARY KEY (server, enumeration, value),
    FOREIGN KEY (server, enumeration) REFERENCES crm.enumeration (server, name) ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE crm.enumeration_value IS 'values of local enumerations, those of the CRM and those added here';

SELECT pg_extension_config_dump('crm.enumeration', '');
SELECT pg_extension_config_dump('crm.enumeration_field', '');
SELECT pg_extension_config_dump('crm.enumeration_value', '');

ALTER TABLE crm.enumeration ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.enumeration_field ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.enumeration_value ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_of_the_server ON crm.enumeration USING (EXISTS (
    SELECT FROM pg_catalog.pg_foreign_server s
    WHERE s.srvname = server AND pg_catalog.has_server_privilege(s.oid, 'USAGE')));
CREATE POLICY users_of_the_server ON crm.enumeration_field USING (EXISTS (
    SELECT FROM pg_catalog.pg_foreign_server s
    WHERE s.srvname = server AND pg_catalog.has_server_privilege(s.oid, 'USAGE')));
CREATE POLICY users_of_the_server ON crm.enumeration_value USING (EXISTS (
    SELECT FROM pg_catalog.pg_foreign_server s
    WHERE s.srvname = server AND pg_catalog.has_server_privilege(s.oid, 'USAGE')));
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.enumeration, crm.enumeration_field, crm.enumeration_value TO PUBLIC;

-- Brings one local enumeration in line with a list of the CRM's values.
CREATE FUNCTION crm.fill_enumeration(
    of_server text, of_name text, of_label text, listed jsonb, replace boolean,
    OUT enumeration text, OUT added integer, OUT changed integer, OUT removed integer, OUT kept integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before integer;
BEGIN
    enumeration := of_name;
    removed := 0;
    INSERT INTO crm.enumeration AS e (server, name, label) VALUES (of_server, of_name, of_label)
        ON CONFLICT DO NOTHING;
    -- Two sessions that fill the same enumeration do it one after the other.
    PERFORM FROM crm.enumeration e WHERE e.server = of_server AND e.name = of_name FOR UPDATE;
    SELECT count(*) INTO before
        FROM crm.enumeration_value v WHERE v.server = of_server AND v.enumeration = of_name;
    IF replace THEN
        DELETE FROM crm.enumeration_value v
            WHERE v.server = of_server AND v.enumeration = of_name
              AND NOT EXISTS (SELECT FROM jsonb_array_elements(listed) AS item WHERE item ->> 'value' = v.value);
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
    WITH remote AS (
        -- A value that the CRM lists twice counts once.
        SELECT DISTINCT ON (r.value) r.*
        FROM jsonb_to_recordset(listed) AS r (
            value text, label text, position integer, active boolean, is_default boolean,
            controlling_values text[], record_types text[])
        ORDER BY r.value, r.position
    ), known AS (
        UPDATE crm.enumeration_value v
        SET label = r.label, position = r.position, active = r.active, is_default = r.is_default,
            controlling_values = r.controlling_values, record_types = r.record_types
        FROM remote r
        WHERE v.server = of_server AND v.enumeration = of_name AND v.value = r.value
          AND (v.label, v.position, v.active, v.is_default, v.controlling_values, v.record_types)
              IS DISTINCT FROM (r.label, r.position, r.active, r.is_default, r.controlling_values, r.record_types)
        RETURNING 1
    ), new AS (
        INSERT INTO crm.enumeration_value
            (server, enumeration, value, label, position, active, is_default, controlling_values, record_types)
        SELECT of_server, of_name, r.value, r.label, r.position, r.active, r.is_default, r.controlling_values, r.record_types
        FROM remote r
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM new), (SELECT count(*) FROM known) INTO added, changed;
    kept := before - removed - changed;
    IF added + changed + removed > 0 THEN
        UPDATE crm.enumeration e SET updated_at = now() WHERE e.server = of_server AND e.name = of_name;
    END IF;
END
$$;
COMMENT ON FUNCTION crm.fill_enumeration(text, text, text, jsonb, boolean) IS
    'used by crm.sync_enumeration and crm.sync_enumerations';

CREATE FUNCTION crm.sync_enumeration(
    foreign_table regclass, column_name text, enumeration text DEFAULT NULL, replace boolean DEFAULT false)
RETURNS TABLE (local_enumeration text, added integer, changed integer, removed integer, kept integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    place record;
    source record;
    own record;
    into_name text;
BEGIN
    IF foreign_table IS NULL OR column_name IS NULL OR replace IS NULL THEN
        RAISE EXCEPTION 'foreign table, column and replace must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT c.server, c.object, c.field INTO place
        FROM crm.collected_columns(foreign_table) c WHERE c.column_name = sync_enumeration.column_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of foreign table "%" does not exist', column_name, foreign_table
            USING ERRCODE = 'undefined_column';
    END IF;
    SELECT f.label, f.enumeration, f.listed INTO own
        FROM crm.enumerated_fields(place.server, place.object) f WHERE lower(f.field) = lower(place.field);
    IF enumeration IS NULL THEN
        SELECT f.enumeration INTO into_name FROM crm.enumeration_field f
            WHERE f.server = place.server AND f.object = place.object AND f.field = place.field;
        into_name := coalesce(into_name, own.enumeration);
    ELSE
        SELECT e.name INTO into_name FROM crm.enumeration e
            WHERE e.server = place.server AND e.name = sync_enumeration.enumeration;
        IF own.enumeration = enumeration THEN
            into_name := enumeration;
        END IF;
    END IF;
    IF own.enumeration IS NOT NULL THEN
        source := own;
    ELSE
        -- The field itself has none: it may hold values of another field's, or of a global one.
        IF coalesce(enumeration, into_name) LIKE '%.%' THEN
            SELECT f.label, f.enumeration, f.listed INTO source
                FROM crm.enumerated_fields(place.server, split_part(coalesce(enumeration, into_name), '.', 1)) f
                WHERE f.enumeration = coalesce(enumeration, into_name);
        ELSE
            SELECT f.label, f.enumeration, f.listed INTO source
                FROM crm.global_enumeration(place.server, coalesce(enumeration, into_name)) f;
        END IF;
        into_name := source.enumeration;
    END IF;
    IF source.enumeration IS NULL AND enumeration IS NULL THEN
        RAISE EXCEPTION 'field "%" of object "%" has no enumeration', place.field, place.object
            USING ERRCODE = 'wrong_object_type',
                  HINT = format('SELECT DISTINCT object, field FROM crm.enumerations(%L, %L) lists those that have.',
                                place.server, place.object);
    ELSIF into_name IS NULL OR source.enumeration IS NULL THEN
        RAISE EXCEPTION 'enumeration "%" does not exist', enumeration
            USING ERRCODE = 'undefined_object',
                  HINT = 'Name one of the CRM''s as "Object.Field", or make a local one with INSERT INTO crm.enumeration (server, name).';
    END IF;
    RETURN QUERY SELECT * FROM crm.fill_enumeration(place.server, into_name, source.label, source.listed, replace);
    INSERT INTO crm.enumeration_field AS f (server, object, field, enumeration)
        VALUES (place.server, place.object, place.field, into_name)
        ON CONFLICT ON CONSTRAINT enumeration_field_pkey DO UPDATE SET enumeration = excluded.enumeration
        WHERE f.enumeration <> excluded.enumeration;
END
$$;
COMMENT ON FUNCTION crm.sync_enumeration(regclass, text, text, boolean) IS
    'fills a local enumeration with the CRM''s values of a column and remembers which it was';

CREATE FUNCTION crm.sync_enumerations(server text, replace boolean DEFAULT false, object text DEFAULT NULL)
RETURNS TABLE (enumeration text, added integer, changed integer, removed integer, kept integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    fields jsonb;
    list record;
BEGIN
    IF sync_enumerations.server IS NULL OR sync_enumerations.replace IS NULL THEN
        RAISE EXCEPTION 'server and replace must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object('object', f.object, 'field', f.field, 'label', f.label, 'listed', f.listed,
                                                 'enumeration', coalesce(m.enumeration, f.enumeration))), '[]')
        INTO fields
        FROM crm.enumerated_fields(sync_enumerations.server, sync_enumerations.object) f
        LEFT JOIN crm.enumeration_field m
            ON m.server = sync_enumerations.server AND m.object = f.object AND m.field = f.field;
    FOR list IN
        -- Fields that fill the same enumeration fill it together.
        SELECT f.enumeration AS name, (array_agg(f.label ORDER BY f.object, f.field))[1] AS label,
               (SELECT coalesce(jsonb_agg(item), '[]')
                FROM jsonb_to_recordset(fields) AS o (enumeration text, listed jsonb), jsonb_array_elements(o.listed) AS item
                WHERE o.enumeration = f.enumeration) AS listed
        FROM jsonb_to_recordset(fields) AS f (object text, field text, label text, enumeration text)
        GROUP BY f.enumeration
        ORDER BY f.enumeration COLLATE "C"
    LOOP
        RETURN QUERY SELECT * FROM crm.fill_enumeration(
            sync_enumerations.server, list.name, list.label, list.listed, sync_enumerations.replace);
    END LOOP;
    INSERT INTO crm.enumeration_field (server, object, field, enumeration)
        SELECT sync_enumerations.server, f.object, f.field, f.enumeration
        FROM jsonb_to_recordset(fields) AS f (object text, field text, enumeration text)
        WHERE f.field IS NOT NULL
        ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION crm.sync_enumerations(text, boolean, text) IS
    'fills the local enumerations of a server, or of one object of it';

-- N-3: for joins of records to labels.
CREATE FUNCTION crm.labels(foreign_table regclass, column_name text)
RETURNS TABLE (
    value text, label text, "position" integer, active boolean, is_default boolean,
    controlling_values text[], record_types text[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.value, v.label, v.position, v.active, v.is_default, v.controlling_values, v.record_types
    FROM crm.collected_columns(foreign_table) c
    JOIN crm.enumeration_field f ON f.server = c.server AND f.object = c.object AND lower(f.field) = lower(c.field)
    JOIN crm.enumeration_value v ON v.server = f.server AND v.enumeration = f.enumeration
    WHERE c.column_name = labels.column_name
    ORDER BY v.position, v.value
$$;
COMMENT ON FUNCTION crm.labels(regclass, text) IS 'the local enumeration of a column, as last filled';
