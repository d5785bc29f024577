-- A local copy kept true (I-3, I-4).

-- Where a target is, or would be made. Runs with the caller's search path, so it names everything in full.
CREATE FUNCTION crm.target_place(target text, OUT relation regclass, OUT schema_name name, OUT table_name name)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    parts text[] := pg_catalog.parse_ident(target);
BEGIN
    IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.>) 2 THEN
        RAISE EXCEPTION 'target "%" must be a table or schema.table', target USING ERRCODE = 'invalid_name';
    ELSIF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.=) 2 THEN
        schema_name := parts[1];
        table_name := parts[2];
    ELSE
        schema_name := pg_catalog.current_schema();
        table_name := parts[1];
    END IF;
    relation := pg_catalog.to_regclass(target);
END
$$;
COMMENT ON FUNCTION crm.target_place(text) IS 'used by crm.sync: the table of that name in the caller''s search path';

CREATE FUNCTION crm.sync_into(
    source regclass, target regclass, target_schema name, target_table name, activity text, deletes boolean,
    OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT deleted bigint, OUT calls bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Foreign rows are dear by estimate and cheap to compute with: compiling for them would take longer than all else.
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    server_name text;
    object_name text;
    overlap interval;
    rereads boolean;
    identifier text;
    stamp text;
    left_out text[];
    kept text[];
    computed text[];
    wrong text;
    source_name text;
    target_name text;
    identifiers_type text := crm.identifiers_type(source);
    mark_option text;
    mark timestamptz;
    token_option text;
    token text;
    follows boolean;
    state record;
    since timestamptz;
    until timestamptz;
    deleted_until timestamptz;
    is_new boolean := target IS NULL;
    is_empty boolean;
    is_full boolean;
    n_more bigint;
    step record;
    gone text[];
    log_entry record;
    logged text[];
    calls_before bigint;
    sql text;
BEGIN
    IF source IS NULL OR target_table IS NULL OR deletes IS NULL THEN
        RAISE EXCEPTION 'source, target and deletes must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT min(c.server), min(c.object), make_interval(secs => min(c.sync_overlap)), bool_or(c.sync_computed),
           min(c.column_name) FILTER (WHERE c.identifier),
           (array_agg(c.column_name ORDER BY c.modification_rank)
                FILTER (WHERE c.modification_rank IS NOT NULL AND a.atttypid = 'timestamptz'::regtype))[1]
        INTO server_name, object_name, overlap, rereads, identifier, stamp
        FROM crm.collected_columns(source) c
        JOIN pg_attribute a ON a.attrelid = source AND a.attnum = c.number;
    IF identifier IS NULL THEN
        RAISE EXCEPTION 'foreign table "%" has no identifier column', source
            USING ERRCODE = 'undefined_column',
                  HINT = 'Give the column of the record identifier the option identifier ''true''.';
    END IF;
    activity := coalesce(activity, object_name);
    mark_option := crm.mark_name(activity);
    SELECT format('%I.%I', n.nspname, c.relname) INTO source_name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source;
    IF target_schema IS NULL THEN
        RAISE EXCEPTION 'no schema has been selected to create table "%" in', target_table
            USING ERRCODE = 'invalid_schema_name';
    END IF;
    IF NOT is_new THEN
        SELECT n.nspname, c.relname INTO target_schema, target_table
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
    END IF;
    target_name := format('%I.%I', target_schema, target_table);
    IF to_regnamespace(quote_ident(target_schema)) IS NULL THEN
        RAISE EXCEPTION 'schema "%" does not exist', target_schema USING ERRCODE = 'invalid_schema_name';
    END IF;
    -- I-4: who comes second is told at once rather than kept waiting for as long as a whole object takes.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('crm.sync activity ' || activity, 0))
        OR NOT pg_try_advisory_xact_lock(hashtextextended('crm.sync target ' || target_name, 0)) THEN
        RAISE EXCEPTION 'activity "%" or target "%" is being synchronised by another session', activity, target_name
            USING ERRCODE = 'lock_not_available', HINT = 'Try again when it has finished.';
    END IF;

    SELECT array_agg(c.column_name ORDER BY c.number) INTO computed
        FROM crm.collected_columns(source) c WHERE c.computed;
    IF is_new THEN
        SELECT array_agg(c.column_name ORDER BY c.number) INTO kept
            FROM crm.collected_columns(source) c
            WHERE rereads OR NOT c.computed;
        left_out := computed;
    ELSE
        IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = target AND c.relkind IN ('r', 'p')) THEN
            RAISE EXCEPTION 'target "%" is not a table', target_name USING ERRCODE = 'wrong_object_type';
        END IF;
        -- Only columns of the same name are kept; further ones on either side are left alone.
        SELECT string_agg(format('column "%s" is %s, not %s', s.attname,
                                 format_type(t.atttypid, t.atttypmod), format_type(s.atttypid, s.atttypmod)),
                          ', ' ORDER BY t.attnum) FILTER (WHERE (s.atttypid, s.atttypmod) <> (t.atttypid, t.atttypmod)),
               array_agg(s.attname::text ORDER BY s.attnum) FILTER (WHERE rereads OR s.attname <> ALL (coalesce(computed, '{}'))),
               array_agg(s.attname::text ORDER BY s.attnum) FILTER (WHERE s.attname = ANY (computed))
            INTO wrong, kept, left_out
            FROM pg_attribute s
            JOIN pg_attribute t ON t.attname = s.attname AND t.attrelid = target
                 AND t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = ''
            WHERE s.attrelid = source AND s.attnum > 0 AND NOT s.attisdropped;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'columns of target "%" have other types than those of foreign table "%"', target_name, source
                USING ERRCODE = 'datatype_mismatch', DETAIL = wrong;
        END IF;
        IF identifier <> ALL (coalesce(kept, '{}')) THEN
            RAISE EXCEPTION 'target "%" has no column "%" for the record identifier', target_name, identifier
                USING ERRCODE = 'undefined_column';
        END IF;
        IF NOT EXISTS (
            SELECT FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = target AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indnkeyatts = 1
              AND i.indpred IS NULL AND i.indexprs IS NULL AND a.attname = identifier) THEN
            RAISE EXCEPTION 'column "%" of target "%" has no unique index', identifier, target_name
                USING ERRCODE = 'invalid_table_definition', HINT = format('ALTER TABLE %s ADD PRIMARY KEY (%I) makes one.', target_name, identifier);
        END IF;
    END IF;
    IF NOT rereads AND left_out IS NOT NULL THEN
        RAISE NOTICE 'computed columns of foreign table "%" are left out: %', source, array_to_string(left_out, ', ')
            USING HINT = 'The option sync_computed ''reread'' reads them anew each time, of all records.';
    END IF;

    mark := crm.mark(mark_option);
    SELECT s.changed_until, s.deleted_until, s.columns INTO state
        FROM crm.sync_state s
        WHERE s.role = current_user AND s.activity = activity AND s.source = source_name AND s.target = target_name;
    IF is_new THEN
        is_empty := true;
    ELSE
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', target_name) INTO is_empty;
    END IF;
    follows := crm.offers_changes(source);
    IF stamp IS NULL AND NOT follows THEN
        RAISE NOTICE 'foreign table "%" has no column that says when a record was changed: all records are read and compared', source;
    ELSIF NOT is_empty AND state.columns IS NOT NULL AND NOT kept <@ state.columns THEN
        RAISE NOTICE 'target "%" has new columns: all records are read and compared', target_name;
    ELSIF NOT is_empty THEN
        -- Whoever set either of them back wants to read from there. A mark that others moved on says nothing of this target.
        since := least(mark, state.changed_until) - overlap;
        IF mark IS NULL THEN
            since := NULL;
        ELSIF state.changed_until IS NULL THEN
            since := NULL;
        END IF;
    END IF;
    IF stamp IS NOT NULL AND since IS NOT NULL AND mark < date_trunc('second', state.changed_until) THEN
        -- Whoever set the mark back wants to read from there; the token stays good for the next time.
        follows := false;
    END IF;
    token_option := crm.token_name(activity, target_name);
    IF follows AND since IS NOT NULL AND state.columns <@ kept THEN
        SELECT o.value INTO token FROM crm.option o WHERE o.role = current_user AND o.name = token_option;
    END IF;

    PERFORM crm.name_progress(format('sync of %s into %s', source_name, target_name));
    calls_before := crm.calls_made(server_name);
    -- The CRM's own clock, before the first page (I-3).
    until := crm.clock(source);
    IF is_new THEN
        SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
            INTO sql FROM pg_attribute a WHERE a.attrelid = source AND a.attname = ANY (kept);
        EXECUTE format('CREATE TABLE %I.%I (%s, PRIMARY KEY (%I))', target_schema, target_table, sql, identifier);
    END IF;

    deleted := 0;
    WHILE follows LOOP
        is_full := token IS NULL;
        BEGIN
            SELECT * INTO STRICT step FROM crm.sync_step(
                source, source_name, target_name, identifier, stamp, kept, is_empty, NULL, is_full AND deletes, true, token, until - overlap);
            EXIT;
        EXCEPTION
            WHEN object_not_in_prerequisite_state THEN
                IF token IS NULL THEN
                    RAISE;
                END IF;
                RAISE NOTICE 'the CRM no longer knows what has changed since the last time: all records are read and compared';
                token := NULL;
            WHEN feature_not_supported THEN
                -- It tracks changes of other objects only, if of any.
                follows := false;
                IF stamp IS NULL THEN
                    since := NULL;
                    RAISE NOTICE 'foreign table "%" has no column that says when a record was changed: all records are read and compared', source;
                END IF;
        END;
    END LOOP;
    IF NOT follows THEN
        is_full := since IS NULL;
        SELECT * INTO STRICT step FROM crm.sync_step(
            source, source_name, target_name, identifier, stamp, kept, is_empty, since, is_full AND deletes, false, NULL, NULL);
    END IF;
    inserted := step.inserted;
    updated := step.updated;
    unchanged := step.n_read - step.inserted - step.updated;
    IF is_empty THEN
        deleted_until := until;
    ELSE
        deleted_until := CASE WHEN is_full THEN until ELSE state.deleted_until END;
        IF rereads AND NOT is_full AND kept && computed THEN
            sql := crm.merge_statement(source_name, target_name, identifier, NULL,
                ARRAY[identifier] || ARRAY(SELECT name FROM unnest(kept) AS name WHERE name = ANY (computed)), false, NULL);
            EXECUTE sql INTO n_more;
            updated := updated + n_more;
        END IF;
    END IF;

    IF deletes AND NOT is_empty THEN
        IF is_full THEN
            gone := step.gone;
        ELSE
            IF follows AND state.deleted_until IS NOT NULL THEN
                logged := step.gone;
                deleted_until := until;
            ELSIF state.deleted_until IS NULL THEN
                RAISE NOTICE 'deletions have not been brought over before: the identifiers of all records are read';
            ELSE
                logged := '{}';
                FOR log_entry IN
                    SELECT * FROM crm.deletion_log(source, state.deleted_until - overlap, until, true)
                LOOP
                    IF log_entry.id IS NOT NULL THEN
                        logged := logged || log_entry.id;
                    ELSIF coalesce(log_entry.refused, log_entry.incomplete) IS NOT NULL THEN
                        RAISE NOTICE 'the identifiers of all records are read: %', coalesce(log_entry.refused, log_entry.incomplete);
                        logged := NULL;
                        EXIT;
                    ELSE
                        deleted_until := least(greatest(coalesce(log_entry.covered_until, until), state.deleted_until), until);
                    END IF;
                END LOOP;
            END IF;
            IF logged IS NULL THEN
                EXECUTE format('SELECT array_agg(t.%I::text) FROM %s t WHERE NOT EXISTS (SELECT FROM (SELECT %1$I AS id FROM %3$s) s WHERE s.id = t.%1$I)',
                               identifier, target_name, source) INTO gone;
                deleted_until := until;
            ELSE
                EXECUTE format('SELECT array_agg(t.%I::text) FROM %s t WHERE t.%1$I = ANY ($1::%3$s)', identifier, target_name, identifiers_type)
                    INTO gone USING logged;
            END IF;
        END IF;
        IF gone IS NOT NULL THEN
            -- A record that lives, again or after all, stays.
            EXECUTE format('DELETE FROM %s t USING (SELECT unnest($1::%4$s) AS id EXCEPT SELECT s.%2$I FROM %3$s s WHERE s.%2$I = ANY ($1::%4$s)) AS dead WHERE t.%2$I = dead.id',
                           target_name, identifier, source, identifiers_type) USING gone;
            GET DIAGNOSTICS deleted = ROW_COUNT;
        END IF;
    ELSIF NOT deletes AND NOT is_empty THEN
        -- Deletions that a token has told of come once: who wants them later must look at all records.
        deleted_until := CASE WHEN follows AND (is_full OR cardinality(step.gone) > 0) THEN NULL ELSE state.deleted_until END;
    END IF;

    INSERT INTO crm.sync_state AS s (activity, source, target, columns, changed_until, deleted_until)
        VALUES (activity, source_name, target_name, kept, until, deleted_until)
        ON CONFLICT ON CONSTRAINT sync_state_pkey DO UPDATE
        SET columns = excluded.columns, changed_until = excluded.changed_until, deleted_until = excluded.deleted_until;
    PERFORM crm.set_mark(mark_option, until);
    IF follows THEN
        INSERT INTO crm.option AS o (name, value) VALUES (token_option, step.next_token)
            ON CONFLICT (role, name) DO UPDATE SET value = excluded.value;
    END IF;
    PERFORM crm.name_progress(NULL);
    calls := crm.calls_made(server_name) - calls_before;
END
$$;
COMMENT ON FUNCTION crm.sync_into(regclass, regclass, name, name, text, boolean) IS 'used by crm.sync';

-- The reading of a sync: what was read, inserted and updated, and the identifiers of the target that are gone. With
-- `follows` by change token, everything where that is null, and the next token; without it from `since` on. The target
-- is in the same transaction, so a reading that fails leaves nothing behind.
CREATE FUNCTION crm.sync_step(
    source regclass, source_name text, target_name text, identifier text, stamp text, kept text[], is_empty boolean,
    since timestamptz, finds_gone boolean, follows boolean, token text, started timestamptz,
    OUT n_read bigint, OUT inserted bigint, OUT updated bigint, OUT gone text[], OUT next_token text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    columns text := (SELECT string_agg(format('%I', name), ', ') FROM unnest(kept) AS name);
    n_shown bigint;
    again record;
    told text[];
BEGIN
    IF follows THEN
        PERFORM crm.follow_changes(source, token);
    END IF;
    updated := 0;
    IF is_empty THEN
        -- A record that pages show twice is kept once: what was changed while they were read comes with the next sync.
        EXECUTE format('INSERT INTO %s (%s) SELECT %2$s FROM %s ON CONFLICT (%I) DO NOTHING', target_name, columns, source, identifier);
        GET DIAGNOSTICS inserted = ROW_COUNT;
        n_read := inserted;
    ELSE
        EXECUTE crm.merge_statement(source_name, target_name, identifier, stamp, kept, since IS NOT NULL, finds_gone)
            INTO n_read, inserted, updated, gone USING since;
    END IF;
    IF NOT follows THEN
        RETURN;
    END IF;
    SELECT f.records, f.deleted, f.token INTO n_shown, told, next_token FROM crm.followed_changes(source) f;
    IF n_shown > n_read AND (is_empty OR stamp IS NULL) THEN
        -- A record was shown twice. The last word counts, and the token does not tell it again: it is asked for.
        EXECUTE crm.merge_statement(source_name, target_name, identifier, stamp, kept, stamp IS NOT NULL, false)
            INTO again USING started;
        n_read := n_read + again.inserted + again.updated;
        inserted := inserted + again.inserted;
        updated := updated + again.updated;
    END IF;
    IF token IS NOT NULL THEN
        gone := told;
    END IF;
END
$$;
COMMENT ON FUNCTION crm.sync_step(regclass, text, text, text, text, text[], boolean, timestamptz, boolean, boolean, text, timestamptz) IS
    'used by crm.sync: reads what has changed and brings it into the target';

-- Reads records and brings them into a table by identifier; rows that are the same already are not rewritten.
-- Gives the records read, inserted and updated, and the identifiers of the table that were not among those read.
-- With `finds_gone` null only known records are changed, and their number is all it gives.
CREATE FUNCTION crm.merge_statement(
    source text, target text, identifier text, stamp text, kept text[], is_bounded boolean, finds_gone boolean)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format($statement$
        WITH changed AS MATERIALIZED (
            SELECT DISTINCT ON (%1$I) %2$s FROM %3$s %4$s ORDER BY %1$I %5$s
        ), updated AS (
            UPDATE %6$s t SET (%2$s) = ROW (%7$s) FROM changed c
            WHERE t.%1$I = c.%1$I AND (%8$s) RETURNING 1
        )$statement$,
        identifier, names.plain, source, CASE WHEN is_bounded THEN format('WHERE %I >= $1', stamp) ELSE '' END,
        CASE WHEN stamp IS NULL THEN '' ELSE format(', %I DESC', stamp) END,
        target, names.changed, names.differs)
        || CASE WHEN finds_gone IS NULL THEN ' SELECT count(*) FROM updated' ELSE format($statement$
        , inserted AS (
            INSERT INTO %1$s (%2$s) SELECT %3$s FROM changed c
            WHERE NOT EXISTS (SELECT FROM %1$s t WHERE t.%4$I = c.%4$I)
            ON CONFLICT (%4$I) DO NOTHING RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed) AS read, (SELECT count(*) FROM inserted) AS inserted,
               (SELECT count(*) FROM updated) AS updated, %5$s$statement$,
        target, names.plain, names.changed, identifier,
        CASE WHEN finds_gone THEN format(
            '(SELECT array_agg(t.%1$I::text) FROM %2$s t WHERE NOT EXISTS (SELECT FROM changed c WHERE c.%1$I = t.%1$I))',
            identifier, target) ELSE 'NULL::text[]' END) END
    FROM (
        -- The type json has no equality.
        SELECT string_agg(format('%I', name), ', ') AS plain, string_agg(format('c.%I', name), ', ') AS changed,
               string_agg(format('t.%I%s IS DISTINCT FROM c.%1$I%2$s', name,
                                 CASE WHEN a.atttypid = 'json'::regtype THEN '::text' ELSE '' END), ' OR ') AS differs
        FROM unnest(kept) AS name
        JOIN pg_attribute a ON a.attrelid = source::regclass AND a.attname = name) AS names
$$;
COMMENT ON FUNCTION crm.merge_statement(text, text, text, text, text[], boolean, boolean) IS 'used by crm.sync';

CREATE PROCEDURE crm.sync(
    source regclass, target text, activity text DEFAULT NULL, deletes boolean DEFAULT true,
    INOUT inserted bigint DEFAULT NULL, INOUT updated bigint DEFAULT NULL, INOUT unchanged bigint DEFAULT NULL,
    INOUT deleted bigint DEFAULT NULL, INOUT calls bigint DEFAULT NULL)
LANGUAGE plpgsql
AS $$
BEGIN
    SELECT s.inserted, s.updated, s.unchanged, s.deleted, s.calls INTO inserted, updated, unchanged, deleted, calls
        FROM crm.target_place(target) AS p,
             crm.sync_into(source, p.relation, p.schema_name, p.table_name, activity, deletes) AS s;
END
$$;
COMMENT ON PROCEDURE crm.sync(regclass, text, text, boolean, bigint, bigint, bigint, bigint, bigint) IS
    'brings what changed in the CRM since the last time into a local table, deletions too';
