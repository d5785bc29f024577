-- X-6: export jobs, whose records are kept in files that no rollback undoes.
CREATE VIEW crm.export_jobs AS SELECT * FROM crm.list_export_jobs();
COMMENT ON VIEW crm.export_jobs IS 'export jobs of the current role: what each sends and how many records have which outcome';
GRANT SELECT ON crm.export_jobs TO PUBLIC;

-- Rejects, and sending them again (E-3, E-4).

CREATE TABLE crm.rejects (
    reject_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role_name name NOT NULL DEFAULT current_user,
    server text NOT NULL,
    foreign_table text NOT NULL,
    operation text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('reject', 'error', 'unknown')),
    record jsonb NOT NULL,
    remote_id text,
    column_name text,
    error_symbol text,
    error_message text,
    error_code text,
    error_log_filename text,
    tries integer NOT NULL DEFAULT 1
);
COMMENT ON TABLE crm.rejects IS 'records that a CRM or a check refused, and records of calls that failed';
COMMENT ON COLUMN crm.rejects.kind IS 'reject: refused; error: its call failed and it was not applied; unknown: sent, but no answer came';
SELECT pg_catalog.pg_extension_config_dump('crm.rejects', '');

-- A record holds a customer's data: each role sees its own.
ALTER TABLE crm.rejects ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rejects ON crm.rejects USING (role_name = current_user) WITH CHECK (role_name = current_user);
GRANT SELECT, INSERT, DELETE ON crm.rejects TO PUBLIC;

CREATE FUNCTION crm.retry_rejects(foreign_table regclass DEFAULT NULL)
RETURNS TABLE (retried_table text, retried_operation text, retried bigint, accepted bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text := (
        SELECT format('%I.%I', n.nspname, c.relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = retry_rejects.foreign_table);
    before text := current_setting('crm.retried_rejects', true);
    changes_before text := current_setting('crm.retried_changes', true);
    job text := current_setting('crm.export_job', true);
    batch record;
    ids bigint[];
    columns text;
    identifier name;
    statement text;
BEGIN
    -- Records without an answer are not sent again by guessing; those of an export job are settled by running it again.
    PERFORM set_config('crm.export_job', '', true);
    FOR batch IN
        SELECT r.foreign_table AS relation, r.operation, r.tries, keys.names, array_agg(r.reject_id ORDER BY r.reject_id) AS ids
        FROM crm.rejects r
        CROSS JOIN LATERAL (SELECT array_agg(k ORDER BY k) AS names FROM jsonb_object_keys(r.record) k) AS keys
        WHERE r.kind <> 'unknown' AND r.operation IN ('insert', 'update', 'delete')
          AND r.role_name = current_user AND (wanted IS NULL OR r.foreign_table = wanted)
        GROUP BY 1, 2, 3, 4
        ORDER BY min(r.reject_id)
    LOOP
        IF to_regclass(batch.relation) IS NULL THEN
            RAISE WARNING 'foreign table % is gone: its rejects are kept', batch.relation;
            CONTINUE;
        END IF;
        identifier := crm.identifier_column(batch.relation::regclass);
        SELECT string_agg(quote_ident(n), ', ') INTO columns FROM unnest(batch.names) n;
        PERFORM set_config('crm.retried_rejects', batch.tries::text, true);
        PERFORM set_config('crm.retried_changes', (batch.operation = 'update')::text, true);
        statement := CASE batch.operation
            WHEN 'delete' THEN format(
                'WITH again AS (DELETE FROM crm.rejects WHERE reject_id = ANY ($1) RETURNING record)
                 DELETE FROM %1$s WHERE %2$I = ANY (ARRAY(SELECT record ->> %2$L FROM again)::%3$s)',
                batch.relation, identifier, crm.identifiers_type(batch.relation::regclass))
            -- An INSERT that gives the identifier changes that record, in batches; crm.retried_changes keeps it to that.
            ELSE format(
                'WITH again AS (DELETE FROM crm.rejects WHERE reject_id = ANY ($1) RETURNING reject_id, record)
                 INSERT INTO %1$s (%2$s) SELECT %3$s FROM again, jsonb_populate_record(NULL::%1$s, record) AS r ORDER BY reject_id',
                batch.relation, columns, (SELECT string_agg('r.' || quote_ident(n), ', ') FROM unnest(batch.names) n))
            END;
        EXECUTE statement USING batch.ids;
        GET DIAGNOSTICS accepted = ROW_COUNT;
        retried_table := batch.relation;
        retried_operation := batch.operation;
        retried := cardinality(batch.ids);
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('crm.retried_rejects', coalesce(nullif(before, ''), '0'), true);
    PERFORM set_config('crm.retried_changes', coalesce(nullif(changes_before, ''), 'off'), true);
    PERFORM set_config('crm.export_job', coalesce(job, ''), true);
END
$$;
COMMENT ON FUNCTION crm.retry_rejects(regclass) IS 'sends the rejects of one foreign table, or of all, again; those refused again stay with one try more';
