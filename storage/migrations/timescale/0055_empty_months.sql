-- Drops the chunks that end before this time and in which nobody has a reading any more. Only so is it right for all
-- persons: each one's were erased with a receipt of their own. Locked first, so that no reading comes in between.
CREATE FUNCTION passerelle.drop_empty_months(before timestamptz) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month record;
    filled boolean;
    dropped int4 := 0;
BEGIN
    FOR month IN SELECT c.chunk_schema, c.chunk_name FROM timescaledb_information.chunks c
        WHERE c.hypertable_schema = 'passerelle' AND c.hypertable_name IN ('reading', 'reading_quantity')
          AND c.range_end <= before
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I)', month.chunk_schema, month.chunk_name) INTO filled;
        CONTINUE WHEN filled;
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', month.chunk_schema, month.chunk_name);
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I)', month.chunk_schema, month.chunk_name) INTO filled;
        CONTINUE WHEN filled;
        EXECUTE format('DROP TABLE %I.%I', month.chunk_schema, month.chunk_name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
