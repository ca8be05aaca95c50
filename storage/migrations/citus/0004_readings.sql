-- The readings, on Citus: distributed by patient, one person's whole space on one machine, and monthly
-- partitions within. The tables of base are distributed with them; tokens lie by their hash.

CREATE TABLE passerelle.reading (
    recorded_at    timestamptz NOT NULL,
    patient_id     int4 NOT NULL,
    sequence       int4 NOT NULL,
    mantissa       int4 NOT NULL,
    flags          int4 NOT NULL DEFAULT 0,
    device_id      int2 NOT NULL,
    ordinal        int2 NOT NULL DEFAULT 0,
    kind           int2 NOT NULL,
    exponent       int2 NOT NULL DEFAULT 0,
    unit           int2 NOT NULL,
    absent         int2 NOT NULL DEFAULT 0,
    sample         int2 NOT NULL DEFAULT -1,
    offset_minutes int2 NOT NULL DEFAULT -32768,
    raw            bytea NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal) INCLUDE (mantissa, exponent, kind)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE passerelle.reading_quantity (
    recorded_at timestamptz NOT NULL,
    patient_id  int4 NOT NULL,
    sequence    int4 NOT NULL,
    mantissa    int4 NOT NULL,
    device_id   int2 NOT NULL,
    ordinal     int2 NOT NULL,
    place       int2 NOT NULL,
    measurand   int2 NOT NULL,
    exponent    int2 NOT NULL,
    unit        int2 NOT NULL,
    absent      int2 NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal, place)
) PARTITION BY RANGE (recorded_at);

SELECT create_distributed_table('passerelle.patient', 'patient_id');
SELECT create_distributed_table('passerelle.device', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.clock_segment', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.reading_context', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.annotation', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.refused_frame', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.daily_summary', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.reading', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.reading_quantity', 'patient_id', colocate_with => 'passerelle.patient');

CREATE TABLE passerelle.reading_before_2000 PARTITION OF passerelle.reading
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01 00:00+00');
CREATE TABLE passerelle.reading_from_2100 PARTITION OF passerelle.reading
    FOR VALUES FROM ('2100-01-01 00:00+00') TO (MAXVALUE);
CREATE TABLE passerelle.reading_quantity_before_2000 PARTITION OF passerelle.reading_quantity
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01 00:00+00');
CREATE TABLE passerelle.reading_quantity_from_2100 PARTITION OF passerelle.reading_quantity
    FOR VALUES FROM ('2100-01-01 00:00+00') TO (MAXVALUE);

-- Makes the partitions of these months, as on plain PostgreSQL: ATTACH lets readers and writers go on.
CREATE FUNCTION passerelle.make_months(parent text, months date[]) RETURNS int4
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
SET citus.multi_shard_modify_mode = 'sequential' AS $$
DECLARE
    month date;
    partition text;
    made int4 := 0;
BEGIN
    FOREACH month IN ARRAY months LOOP
        CONTINUE WHEN month < '2000-01-01' OR month >= '2100-01-01';
        month := date_trunc('month', month);
        partition := format('passerelle.%I', parent || to_char(month, '_YYYY_MM'));
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        EXECUTE format('LOCK TABLE passerelle.%I IN SHARE UPDATE EXCLUSIVE MODE', parent);
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        EXECUTE format('CREATE TABLE %s (LIKE passerelle.%I INCLUDING ALL)', partition, parent);
        EXECUTE format('ALTER TABLE passerelle.%I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent, partition,
            month::text || ' 00:00+00', (month + interval '1 month')::date::text || ' 00:00+00');
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- The same for who stores. Their transaction has written to shards under their own role, and Citus lets no other
-- role touch those before its end: so the months are made, and are there for all, in a transaction of the owner's
-- own on the coordinator.
CREATE FUNCTION passerelle.ensure_months(parent text, months date[]) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    done boolean;
    said text;
BEGIN
    IF parent NOT IN ('reading', 'reading_quantity') THEN
        RAISE EXCEPTION 'no months for this table' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT success, result INTO done, said FROM run_command_on_coordinator(
        format('SELECT passerelle.make_months(%L, %L)', parent, months));
    IF NOT done THEN
        RAISE EXCEPTION 'a month could not be made' USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN said::int4;
END $$;
