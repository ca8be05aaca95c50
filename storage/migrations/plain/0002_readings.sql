-- The readings, on plain PostgreSQL: a partition per month of `recorded_at`, made when its first reading comes.
-- Columns lie in the order of their alignment, so that no byte is lost between them. No foreign key (COPY would
-- be three times slower), no trigger, no row-level security (COPY would be refused). What most readings of a
-- sensor do not have is a default, so that a COPY need not carry it.

CREATE TABLE passerelle.reading (
    recorded_at    timestamptz NOT NULL,     -- the device's own time, taken as if UTC
    patient_id     int4 NOT NULL,
    sequence       int4 NOT NULL,
    mantissa       int4 NOT NULL,            -- of the first quantity: mantissa × 10^exponent
    flags          int4 NOT NULL DEFAULT 0,
    device_id      int2 NOT NULL,
    ordinal        int2 NOT NULL DEFAULT 0,  -- 0, or the rank among measurements that claim the same record
    kind           int2 NOT NULL,            -- Kind
    exponent       int2 NOT NULL DEFAULT 0,
    unit           int2 NOT NULL,            -- index into UNITS
    absent         int2 NOT NULL DEFAULT 0,  -- Absent, or 0
    sample         int2 NOT NULL DEFAULT -1, -- type | location << 4, or -1
    offset_minutes int2 NOT NULL DEFAULT -32768, -- the record's own offset, or -32768
    raw            bytea NOT NULL,           -- the measurement as received: it alone decides sameness
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal) INCLUDE (mantissa, exponent, kind)
) PARTITION BY RANGE (recorded_at);

-- The quantities after the first, of the kinds that have them.
CREATE TABLE passerelle.reading_quantity (
    recorded_at timestamptz NOT NULL,
    patient_id  int4 NOT NULL,
    sequence    int4 NOT NULL,
    mantissa    int4 NOT NULL,
    device_id   int2 NOT NULL,
    ordinal     int2 NOT NULL,
    place       int2 NOT NULL,           -- from 1
    measurand   int2 NOT NULL,           -- Measurand
    exponent    int2 NOT NULL,
    unit        int2 NOT NULL,
    absent      int2 NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal, place)
) PARTITION BY RANGE (recorded_at);

-- Dates that no working device writes (an unknown date is in 1900) have two partitions of their own. A default
-- partition would do too, but would have to be locked and searched each time a month is made.
CREATE TABLE passerelle.reading_before_2000 PARTITION OF passerelle.reading
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01 00:00+00');
CREATE TABLE passerelle.reading_from_2100 PARTITION OF passerelle.reading
    FOR VALUES FROM ('2100-01-01 00:00+00') TO (MAXVALUE);
CREATE TABLE passerelle.reading_quantity_before_2000 PARTITION OF passerelle.reading_quantity
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01 00:00+00');
CREATE TABLE passerelle.reading_quantity_from_2100 PARTITION OF passerelle.reading_quantity
    FOR VALUES FROM ('2100-01-01 00:00+00') TO (MAXVALUE);

-- Makes the partitions of these months (first days) of `reading` or `reading_quantity` if they are not there.
-- The lock lets readers and writers go on, and lets one maker at a time look again; ATTACH needs no more.
CREATE FUNCTION passerelle.ensure_months(parent text, months date[]) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month date;
    partition text;
    made int4 := 0;
BEGIN
    IF parent NOT IN ('reading', 'reading_quantity') THEN
        RAISE EXCEPTION 'no months for this table' USING ERRCODE = 'invalid_parameter_value';
    END IF;
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
