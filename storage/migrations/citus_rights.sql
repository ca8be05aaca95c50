-- What differs on Citus, after rights.sql. There one role alone may touch a person's shards in a transaction, so
-- a function that works under the owner's name cannot follow what the writer did under its own. Functions that
-- the writer calls therefore work under the writer's name there, and it has the rights that they need: that it
-- asks for a deletion through them only is kept by the program, not by the database. What makes or drops months
-- stays the owner's, and so does all that the serving role calls. See docs/decisions/0030.
DO $$
DECLARE
    writer text := nullif(nullif(current_setting('passerelle.writer'), ''), current_user);
    called text;
BEGIN
    IF writer IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA passerelle TO %I', writer);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON passerelle.migration FROM %I', writer);
    FOR called IN SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'passerelle'::regnamespace AND p.proname NOT LIKE '%\_by\_token'
          AND p.proname NOT IN ('bearer', 'ensure_months', 'make_months', 'drop_empty_months')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY INVOKER', called);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', called, writer);
    END LOOP;
END $$;
