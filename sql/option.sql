-- The automatic index: up to when each activity has been imported (I-1, I-2).

CREATE TABLE crm.option (
    name text NOT NULL,
    value text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    role name NOT NULL DEFAULT current_user,
    PRIMARY KEY (role, name)
);
COMMENT ON TABLE crm.option IS 'named values of each role, such as the time of an activity''s last import, in UTC';

-- What a sync has reached for one target. It knows the source by name, as a dump does.
CREATE TABLE crm.sync_state (
    activity text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    columns text[] NOT NULL,
    changed_until timestamptz NOT NULL,
    deleted_until timestamptz,
    role name NOT NULL DEFAULT current_user,
    PRIMARY KEY (role, activity, source, target)
);
COMMENT ON TABLE crm.sync_state IS
    'per target of crm.sync: the columns kept, and up to when changes and deletions have been brought over';

SELECT pg_extension_config_dump('crm.option', '');
SELECT pg_extension_config_dump('crm.sync_state', '');

-- Another role's mark must not be moved, and what it imports is not everybody's business.
ALTER TABLE crm.option ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm.sync_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON crm.option USING (role = current_user);
CREATE POLICY own_rows ON crm.sync_state USING (role = current_user);
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.option, crm.sync_state TO PUBLIC;

CREATE FUNCTION crm.touch_option() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON crm.option FOR EACH ROW EXECUTE FUNCTION crm.touch_option();

-- A mark as text, in UTC, to the second (I-1).
CREATE FUNCTION crm.mark_text(mark timestamptz)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT to_char(mark AT TIME ZONE 'UTC', 'YYYY/MM/DD HH24:MI:SS') $$;
COMMENT ON FUNCTION crm.mark_text(timestamptz) IS 'an instant as the text of a mark: yyyy/MM/dd hh:mm:ss, UTC';

CREATE FUNCTION crm.mark_name(activity text)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('LASTIMPORT_%s_%s', current_database(), activity) $$;
COMMENT ON FUNCTION crm.mark_name(text) IS 'the option that holds an activity''s mark';

-- A change token is its target's own: it tells what that target lacks.
CREATE FUNCTION crm.token_name(activity text, target text)
RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format('CHANGETOKEN_%s_%s_%s', current_database(), activity, target) $$;
COMMENT ON FUNCTION crm.token_name(text, text) IS 'the option that holds the change token of an activity''s target; without it the next sync reads everything';

-- The current role's mark of that name; null if there is none.
CREATE FUNCTION crm.mark(option_name text)
RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    text_of_mark text := (SELECT o.value FROM crm.option o WHERE o.role = current_user AND o.name = option_name);
BEGIN
    IF text_of_mark IS NULL THEN
        RETURN NULL;
    END IF;
    IF text_of_mark !~ '^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d$' THEN
        RAISE EXCEPTION 'option "%" is no time: "%"', option_name, text_of_mark
            USING ERRCODE = 'invalid_datetime_format', HINT = 'Its form is yyyy/MM/dd hh:mm:ss, in UTC.';
    END IF;
    RETURN replace(text_of_mark, '/', '-')::timestamp AT TIME ZONE 'UTC';
END
$$;
COMMENT ON FUNCTION crm.mark(text) IS 'the time that an option of the current role holds';

CREATE FUNCTION crm.set_mark(option_name text, mark timestamptz)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO crm.option AS o (name, value) VALUES (option_name, crm.mark_text(mark))
    ON CONFLICT (role, name) DO UPDATE SET value = excluded.value
$$;
COMMENT ON FUNCTION crm.set_mark(text, timestamptz) IS 'writes a time into an option of the current role';

CREATE FUNCTION crm.import(
    foreign_table anyelement, activity text DEFAULT NULL, index_field text DEFAULT NULL,
    overlap interval DEFAULT NULL, option_name text DEFAULT NULL)
RETURNS SETOF anyelement
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
    place record;
    mark_option text;
    mark timestamptz;
    until timestamptz;
    condition text;
BEGIN
    SELECT t.typrelid::regclass INTO relation
        FROM pg_type t JOIN pg_foreign_table f ON f.ftrelid = t.typrelid WHERE t.oid = pg_typeof(foreign_table);
    IF relation IS NULL THEN
        RAISE EXCEPTION 'crm.import needs a foreign table''s row type, not %', pg_typeof(foreign_table)
            USING ERRCODE = 'wrong_object_type', HINT = 'Call it as crm.import(NULL::schema.table).';
    END IF;
    IF overlap < interval '0' THEN
        RAISE EXCEPTION 'overlap must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT c.object, c.column_name, a.atttypid INTO place
        FROM crm.collected_columns(relation) c
        JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = c.number
        WHERE CASE WHEN index_field IS NULL THEN c.modification_rank IS NOT NULL
                   ELSE index_field IN (c.column_name, c.field) OR lower(index_field) = lower(c.field) END
        ORDER BY c.column_name = index_field DESC, c.modification_rank
        LIMIT 1;
    IF NOT FOUND AND index_field IS NULL THEN
        RAISE EXCEPTION 'foreign table "%" has no column that says when a record was changed', relation
            USING ERRCODE = 'undefined_column', HINT = 'Name a column of type timestamp with time zone as index_field.';
    ELSIF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of foreign table "%" does not exist', index_field, relation
            USING ERRCODE = 'undefined_column', HINT = 'The argument index_field names a local column or its remote field.';
    ELSIF place.atttypid <> 'timestamptz'::regtype THEN
        RAISE EXCEPTION 'column "%" of foreign table "%" has type %, not timestamp with time zone',
            place.column_name, relation, format_type(place.atttypid, NULL)
            USING ERRCODE = 'datatype_mismatch', HINT = 'The argument index_field chooses another column.';
    END IF;
    mark_option := coalesce(option_name, crm.mark_name(coalesce(activity, place.object)));
    mark := crm.mark(mark_option);
    -- The CRM's own clock, read before the first page: what is changed while we read belongs to the next import.
    until := date_trunc('second', crm.clock(relation));
    PERFORM set_config('crm.option_name', mark_option, false),
            set_config('crm.start_import', coalesce(crm.mark_text(mark - coalesce(overlap, '0')), ''), false),
            set_config('crm.end_date', crm.mark_text(until), false);
    IF mark > until THEN
        RAISE EXCEPTION 'option "%" is later than the time of the CRM, %', mark_option, crm.mark_text(until)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Set it back or delete it from crm.option.';
    END IF;
    condition := CASE
        WHEN mark IS NOT NULL THEN format('%I >= $1 AND %1$I < $2', place.column_name)
        -- Everything, also records whose index field is empty.
        ELSE format('%I IS NULL OR %1$I < $2', place.column_name) END;
    RETURN QUERY EXECUTE format('SELECT * FROM %s WHERE %s', relation, condition)
        USING mark - coalesce(overlap, '0'), until;
    IF crm.statement_is_limited() THEN
        RAISE NOTICE 'the mark of "%" stays: the statement has a limit and may not have seen every row', mark_option;
    ELSE
        PERFORM crm.set_mark(mark_option, until);
    END IF;
END
$$;
COMMENT ON FUNCTION crm.import(anyelement, text, text, interval, text) IS
    'records changed since the activity''s last import; the mark moves when the transaction commits';
