-- Deleted records (L-1, L-2).

CREATE FUNCTION crm.deleted(foreign_table regclass, start timestamptz, "end" timestamptz DEFAULT NULL)
RETURNS TABLE (id text, deleted_at timestamptz, name text, deleted_by text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    until timestamptz := deleted."end";
    entry record;
BEGIN
    IF foreign_table IS NULL OR deleted.start IS NULL THEN
        RAISE EXCEPTION 'foreign table and start must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT isfinite(deleted.start) OR NOT isfinite(coalesce(until, deleted.start)) THEN
        RAISE EXCEPTION 'start and end must be finite' USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF until < deleted.start THEN
        RAISE EXCEPTION 'end % is before start %', until, deleted.start
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Both ends belong to the period.';
    END IF;
    IF until IS NULL THEN
        until := crm.clock(foreign_table);
        IF until < deleted.start THEN
            RAISE EXCEPTION 'start % is after the time of the CRM, %', deleted.start, until
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END IF;
    FOR entry IN SELECT * FROM crm.deletion_log(foreign_table, deleted.start, until, false) LOOP
        IF entry.id IS NULL THEN
            IF entry.incomplete IS NOT NULL THEN
                RAISE WARNING 'deletions of foreign table "%" may be incomplete: %', foreign_table, entry.incomplete;
            END IF;
            CONTINUE;
        END IF;
        id := entry.id;
        deleted_at := entry.deleted_at;
        name := entry.name;
        deleted_by := entry.deleted_by;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION crm.deleted(regclass, timestamptz, timestamptz) IS
    'records deleted from start to end, both included; the end is now by the CRM''s clock unless given';
