-- Rules lie with their patients. A month that nobody has a reading in costs nothing here.
SELECT create_distributed_table('passerelle.retention_rule', 'patient_id', colocate_with => 'passerelle.patient');

CREATE FUNCTION passerelle.drop_empty_months(before timestamptz) RETURNS int4
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 0 $$;
