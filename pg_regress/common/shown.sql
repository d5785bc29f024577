-- Conditions of a foreign table, whose local copy of the same name was read with pushdown off. Begin a test with:
--   \set shown :inputs '/common/shown.sql'
--   \i :shown
-- Shows the plan of a condition, and how many rows the foreign table and the copy do not share.
CREATE FUNCTION shown(tab text, condition text, OUT plan text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    source regclass := (SELECT oid FROM pg_class WHERE relname = tab AND relkind = 'f');
    id text := (SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = source AND attnum = 1);
    found bigint;
    different bigint;
BEGIN
    FOR plan IN EXECUTE format('EXPLAIN (VERBOSE, COSTS OFF) SELECT %s FROM %s WHERE %s', id, source, condition) LOOP
        IF plan ~ 'Remote|Pushed|Rechecked|Local' THEN
            plan := trim(plan);
            RETURN NEXT;
        END IF;
    END LOOP;
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE f.id IS NULL OR l.id IS NULL)
                      FROM (SELECT %1$s AS id FROM %2$s WHERE %4$s) f FULL JOIN (SELECT %1$s AS id FROM %3$I WHERE %4$s) l USING (id)',
                   id, source, tab, condition) INTO found, different;
    plan := format('rows: %s, different: %s', found, different);
    RETURN NEXT;
END $$;
