-- A month that nobody has a reading in costs nothing here: its pages are given back by vacuum.
CREATE FUNCTION passerelle.drop_empty_months(before timestamptz) RETURNS int4
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 0 $$;
