-- What the planner remembers of a table holds values of it, and stays when the table is emptied: ANALYZE passes an
-- empty one over. So what is empty is made anew (months), or loses what is remembered of its columns (a column that
-- is given its own type again does). For the owner, after an erasure.

CREATE FUNCTION passerelle.forget_months() RETURNS int4
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month record;
    filled boolean;
    forgotten int4 := 0;
BEGIN
    LOCK TABLE ONLY passerelle.reading, ONLY passerelle.reading_quantity IN ACCESS EXCLUSIVE MODE;
    FOR month IN SELECT c.relname AS name, p.relname AS parent, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relnamespace = 'passerelle'::regnamespace AND p.relname IN ('reading', 'reading_quantity')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM passerelle.%I)', month.name) INTO filled;
        CONTINUE WHEN filled;
        EXECUTE format('DROP TABLE passerelle.%I', month.name);
        IF month.name !~ '_\d{4}_\d{2}$' THEN  -- before 2000, after 2100: no reading makes these
            EXECUTE format('CREATE TABLE passerelle.%I PARTITION OF passerelle.%I %s',
                month.name, month.parent, month.bounds);
        END IF;
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END $$;

-- Tables that are empty lose what is remembered of them; months that are not are looked at again.
CREATE FUNCTION passerelle.forget_columns() RETURNS int4
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known record;
    filled boolean;
    forgotten int4 := 0;
BEGIN
    FOR known IN SELECT c.relname AS name, a.attname AS attribute, format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_stats s
        JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = 'passerelle'::regnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
        WHERE s.schemaname = 'passerelle' AND NOT c.relispartition
          AND NOT (c.relkind = 'p' AND s.attname = 'recorded_at')  -- a key of partitions keeps its type
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM passerelle.%I)', known.name) INTO filled;
        CONTINUE WHEN filled;
        EXECUTE format('ALTER TABLE passerelle.%I ALTER COLUMN %I TYPE %s', known.name, known.attribute, known.type);
        forgotten := forgotten + 1;
    END LOOP;
    FOR known IN SELECT DISTINCT s.tablename AS name FROM pg_stats s
        JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = 'passerelle'::regnamespace
        WHERE s.schemaname = 'passerelle' AND (c.relispartition OR c.relkind = 'p')
    LOOP
        EXECUTE format('ANALYZE passerelle.%I', known.name);
    END LOOP;
    RETURN forgotten;
END $$;
