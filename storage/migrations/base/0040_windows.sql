-- What a token lets through, in one place. A grant's period is of effective time, so it becomes windows of
-- `recorded_at`, one for each clock segment in force; whoever reads walks through them. Before, each function
-- compared each row with the segments. See docs/decisions/0036.

-- The segments in force that place something in `start..until` (until excluded), cut to it.
CREATE FUNCTION passerelle.stretches(patient int4, start timestamptz, until timestamptz)
RETURNS TABLE (device_id int2, first_sequence int4, last_sequence int4, first_recorded_at timestamptz,
    last_recorded_at timestamptz, shift interval, utc_offset_minutes int2, source int2)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT s.device_id, s.first_sequence, s.last_sequence,
            greatest(s.first_recorded_at, start - s.shift_seconds * interval '1 second'),
            least(s.last_recorded_at, until - s.shift_seconds * interval '1 second' - interval '1 microsecond'),
            s.shift_seconds * interval '1 second', s.utc_offset_minutes, s.source
        FROM passerelle.clock_segment s
        WHERE s.patient_id = patient AND s.superseded_at IS NULL AND s.shift_seconds IS NOT NULL
          AND s.last_recorded_at >= start - s.shift_seconds * interval '1 second'
          AND s.first_recorded_at < until - s.shift_seconds * interval '1 second';
END $$;

-- Where in `first..last` of `recorded_at` a token may read. Without a period: everywhere, every device, also what
-- no segment places; with one: what the segments place within it.
CREATE FUNCTION passerelle.windows(
    patient int4, period_start timestamptz, period_end timestamptz, first timestamptz, last timestamptz
) RETURNS TABLE (device_id int2, first_sequence int4, last_sequence int4, first_recorded_at timestamptz,
    last_recorded_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF period_start IS NULL AND period_end IS NULL THEN
        RETURN QUERY SELECT NULL::int2, -2147483648, 2147483647, first, last;
    ELSE
        RETURN QUERY SELECT s.device_id, s.first_sequence, s.last_sequence,
                greatest(s.first_recorded_at, first), least(s.last_recorded_at, last)
            FROM passerelle.stretches(patient, coalesce(period_start, '-infinity'), coalesce(period_end, 'infinity')) s
            WHERE s.first_recorded_at <= last AND s.last_recorded_at >= first;
    END IF;
END $$;

-- As in 0007, one row of arrays for each window.
CREATE OR REPLACE FUNCTION passerelle.readings_by_token(
    token bytea, kinds int2[], first timestamptz, last timestamptz
) RETURNS TABLE (recorded_at timestamptz[], numbers int8[], marks int8[], codes int8[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
BEGIN
    who := passerelle.bearer(token);
    FOR open IN SELECT * FROM passerelle.windows(who.patient_id, who.period_start, who.period_end, first, last) LOOP
        RETURN QUERY SELECT array_agg(r.recorded_at),
            array_agg(r.sequence * 4294967296 + r.mantissa),
            array_agg(r.flags * 4294967296 + r.device_id * 65536 + r.ordinal),
            array_agg(r.kind * 1099511627776 + (r.exponent + 128) * 4294967296 + r.unit * 16777216::int8
                + r.absent * 65536 + r.sample + 1)
            FROM passerelle.reading r
            WHERE r.patient_id = who.patient_id
              AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND r.sequence BETWEEN open.first_sequence AND open.last_sequence
              AND (open.device_id IS NULL OR r.device_id = open.device_id)
              AND (readings_by_token.kinds IS NULL OR r.kind = ANY (readings_by_token.kinds))
              AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
            HAVING count(*) > 0;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION passerelle.contexts_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS SETOF passerelle.reading_context
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
BEGIN
    who := passerelle.bearer(token);
    PERFORM 1 FROM passerelle.reading_context c
        WHERE c.patient_id = who.patient_id AND c.recorded_at BETWEEN first AND last LIMIT 1;
    IF NOT FOUND THEN
        RETURN;  -- most stretches of a sensor have none: found sooner than a join is begun
    END IF;
    FOR open IN SELECT * FROM passerelle.windows(who.patient_id, who.period_start, who.period_end, first, last) LOOP
        RETURN QUERY SELECT c.* FROM passerelle.reading_context c
            JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
            WHERE c.patient_id = who.patient_id AND r.patient_id = who.patient_id
              AND c.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND c.sequence BETWEEN open.first_sequence AND open.last_sequence
              AND (open.device_id IS NULL OR c.device_id = open.device_id)
              AND (who.kinds IS NULL OR r.kind = ANY (who.kinds));
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION passerelle.quantities_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS SETOF passerelle.reading_quantity
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
BEGIN
    who := passerelle.bearer(token);
    PERFORM 1 FROM passerelle.reading_quantity q
        WHERE q.patient_id = who.patient_id AND q.recorded_at BETWEEN first AND last LIMIT 1;
    IF NOT FOUND THEN
        RETURN;  -- most stretches of a sensor have none: found sooner than a join is begun
    END IF;
    FOR open IN SELECT * FROM passerelle.windows(who.patient_id, who.period_start, who.period_end, first, last) LOOP
        RETURN QUERY SELECT q.* FROM passerelle.reading_quantity q
            JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
            WHERE q.patient_id = who.patient_id AND r.patient_id = who.patient_id
              AND q.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND q.sequence BETWEEN open.first_sequence AND open.last_sequence
              AND (open.device_id IS NULL OR q.device_id = open.device_id)
              AND (who.kinds IS NULL OR r.kind = ANY (who.kinds));
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION passerelle.annotations_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS TABLE (recorded_at timestamptz, sequence int4, device_id int2, ordinal int2, kind int2, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
BEGIN
    who := passerelle.bearer(token);
    PERFORM 1 FROM passerelle.annotation a
        WHERE a.patient_id = who.patient_id AND a.recorded_at BETWEEN first AND last LIMIT 1;
    IF NOT FOUND THEN
        RETURN;  -- most stretches of a sensor have none: found sooner than a join is begun
    END IF;
    FOR open IN SELECT * FROM passerelle.windows(who.patient_id, who.period_start, who.period_end, first, last) LOOP
        RETURN QUERY SELECT a.recorded_at, a.sequence, a.device_id, a.ordinal, a.kind,
                CASE WHEN who.grant_id IS NULL THEN a.value END
            FROM passerelle.annotation a
            JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
            WHERE a.patient_id = who.patient_id AND r.patient_id = who.patient_id AND a.withdrawn_at IS NULL
              AND a.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND a.sequence BETWEEN open.first_sequence AND open.last_sequence
              AND (open.device_id IS NULL OR a.device_id = open.device_id)
              AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
              AND (who.grant_id IS NULL OR a.kind IN (2, 3, 4));
    END LOOP;
END $$;
