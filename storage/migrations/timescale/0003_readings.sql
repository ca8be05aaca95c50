-- The readings, on TimescaleDB: a hypertable by month of `recorded_at`. Without its default index on the time
-- alone COPY is faster than on plain PostgreSQL; the primary key serves every query, since each names a patient.

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
);
SELECT create_hypertable('passerelle.reading', by_range('recorded_at', INTERVAL '1 month'),
    create_default_indexes => false);

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
);
SELECT create_hypertable('passerelle.reading_quantity', by_range('recorded_at', INTERVAL '1 month'),
    create_default_indexes => false);

-- A month that is over is compressed a month later: one person's rows together, in the order of the key.
ALTER TABLE passerelle.reading SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'patient_id',
    timescaledb.orderby = 'recorded_at, sequence, device_id, ordinal'
);
CALL add_columnstore_policy('passerelle.reading', after => INTERVAL '60 days');
ALTER TABLE passerelle.reading_quantity SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'patient_id',
    timescaledb.orderby = 'recorded_at, sequence, device_id, ordinal, place'
);
CALL add_columnstore_policy('passerelle.reading_quantity', after => INTERVAL '60 days');

-- TimescaleDB makes its chunks itself.
CREATE FUNCTION passerelle.ensure_months(parent text, months date[]) RETURNS int4
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 0 $$;
