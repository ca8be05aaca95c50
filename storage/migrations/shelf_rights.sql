-- The shelf's role works in the shelf's database, and owns nothing there.
DO $$
DECLARE
    shelf text := nullif(nullif(current_setting('passerelle.shelf'), ''), current_user);
BEGIN
    REVOKE ALL ON ALL TABLES IN SCHEMA shelf FROM PUBLIC;
    REVOKE ALL ON SCHEMA shelf FROM PUBLIC;
    IF shelf IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA shelf TO %I', shelf);
        -- What was once wider is narrowed: links, and who opened them, stay; files and addresses come and go.
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA shelf FROM %I', shelf);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON shelf.uploader, shelf.link TO %I', shelf);
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON shelf.file, shelf.location TO %I', shelf);
        EXECUTE format('GRANT SELECT, INSERT ON shelf.opening TO %I', shelf);
    END IF;
END $$;
