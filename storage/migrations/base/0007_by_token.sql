-- What the role that serves HTTP may do: these functions and nothing else. Each takes the hash of a token and
-- finds out itself whose it is, for which kinds, which period and until when. An unknown, ended or revoked
-- token gets no row. Statements that find a token and those that find a patient are apart: on many machines
-- they are on different ones. A grant's period is of effective time, by the segments in force; a record that no
-- segment places is in no period. The condition stands in each function, since a function of our own inside a
-- distributed query could not be run where the rows are.

CREATE FUNCTION passerelle.bearer(
    token bytea, OUT patient_id int4, OUT grant_id uuid, OUT kinds int2[],
    OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    SELECT t.patient_id, t.grant_id INTO bearer.patient_id, bearer.grant_id FROM passerelle.token t
        WHERE t.token_hash = bearer.token AND t.revoked_at IS NULL AND t.ends_at > now();
    IF bearer.grant_id IS NOT NULL THEN
        SELECT g.kinds, g.period_start, g.period_end
            INTO bearer.kinds, bearer.period_start, bearer.period_end FROM passerelle.grant_ g
            WHERE g.patient_id = bearer.patient_id AND g.grant_id = bearer.grant_id
              AND g.revoked_at IS NULL AND g.ends_at > now();
        IF NOT FOUND THEN
            bearer.patient_id := NULL;
            bearer.grant_id := NULL;
        END IF;
    END IF;
END $$;

CREATE FUNCTION passerelle.patient_by_token(token bytea)
RETURNS TABLE (patient_id int4, uuid uuid, name text, timezone text, language text, unit text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT p.patient_id, p.uuid, p.name, p.timezone, p.language, p.unit
        FROM passerelle.patient p WHERE p.patient_id = who.patient_id;
END $$;

CREATE FUNCTION passerelle.devices_by_token(token bytea)
RETURNS TABLE (device_id int2, scheme text, identity text, manufacturer text, model text, serial text,
    firmware text, profile text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT d.device_id, d.scheme, d.identity, d.manufacturer, d.model, d.serial, d.firmware, d.profile
        FROM passerelle.device d WHERE d.patient_id = who.patient_id;
END $$;

CREATE FUNCTION passerelle.segments_by_token(token bytea)
RETURNS TABLE (device_id int2, first_sequence int4, last_sequence int4, first_recorded_at timestamptz,
    last_recorded_at timestamptz, shift_seconds int8, utc_offset_minutes int2, source int2)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT s.device_id, s.first_sequence, s.last_sequence, s.first_recorded_at, s.last_recorded_at,
        s.shift_seconds, s.utc_offset_minutes, s.source
        FROM passerelle.clock_segment s WHERE s.patient_id = who.patient_id AND s.superseded_at IS NULL;
END $$;

-- One row of arrays of one length: the readings of a range of `recorded_at` that the token lets through. Small
-- numbers share an int8, as in `readings_of_patient`.
CREATE FUNCTION passerelle.readings_by_token(token bytea, kinds int2[], first timestamptz, last timestamptz)
RETURNS TABLE (recorded_at timestamptz[], numbers int8[], marks int8[], codes int8[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT array_agg(r.recorded_at),
        array_agg(r.sequence * 4294967296 + r.mantissa),
        array_agg(r.flags * 4294967296 + r.device_id * 65536 + r.ordinal),
        array_agg(r.kind * 1099511627776 + (r.exponent + 128) * 4294967296 + r.unit * 16777216::int8
            + r.absent * 65536 + r.sample + 1)
        FROM passerelle.reading r
        WHERE r.patient_id = who.patient_id AND r.recorded_at BETWEEN first AND last
          AND (readings_by_token.kinds IS NULL OR r.kind = ANY (readings_by_token.kinds))
          AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
          AND (
              (who.period_start IS NULL AND who.period_end IS NULL)
              OR EXISTS (
                  SELECT 1 FROM passerelle.clock_segment s
                  WHERE s.patient_id = r.patient_id AND s.device_id = r.device_id AND s.superseded_at IS NULL
                    AND r.sequence BETWEEN s.first_sequence AND s.last_sequence
                    AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        >= coalesce(who.period_start, '-infinity')
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        < coalesce(who.period_end, 'infinity')))
        HAVING count(*) > 0;
END $$;

-- The contexts of the readings that the token lets through.
CREATE FUNCTION passerelle.contexts_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS SETOF passerelle.reading_context
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT c.* FROM passerelle.reading_context c
        JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
        WHERE c.patient_id = who.patient_id AND c.recorded_at BETWEEN first AND last
          AND r.patient_id = who.patient_id AND r.recorded_at BETWEEN first AND last
          AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
          AND (
              (who.period_start IS NULL AND who.period_end IS NULL)
              OR EXISTS (
                  SELECT 1 FROM passerelle.clock_segment s
                  WHERE s.patient_id = r.patient_id AND s.device_id = r.device_id AND s.superseded_at IS NULL
                    AND r.sequence BETWEEN s.first_sequence AND s.last_sequence
                    AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        >= coalesce(who.period_start, '-infinity')
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        < coalesce(who.period_end, 'infinity')));
END $$;

-- The quantities after the first of the readings that the token lets through.
CREATE FUNCTION passerelle.quantities_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS SETOF passerelle.reading_quantity
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT q.* FROM passerelle.reading_quantity q
        JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
        WHERE q.patient_id = who.patient_id AND q.recorded_at BETWEEN first AND last
          AND r.patient_id = who.patient_id AND r.recorded_at BETWEEN first AND last
          AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
          AND (
              (who.period_start IS NULL AND who.period_end IS NULL)
              OR EXISTS (
                  SELECT 1 FROM passerelle.clock_segment s
                  WHERE s.patient_id = r.patient_id AND s.device_id = r.device_id AND s.superseded_at IS NULL
                    AND r.sequence BETWEEN s.first_sequence AND s.last_sequence
                    AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        >= coalesce(who.period_start, '-infinity')
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        < coalesce(who.period_end, 'infinity')));
END $$;

-- What was said of the readings that the token lets through. Which readings are left out is told to all; what
-- a person wrote, to the person's own session only.
CREATE FUNCTION passerelle.annotations_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS TABLE (recorded_at timestamptz, sequence int4, device_id int2, ordinal int2, kind int2, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    RETURN QUERY SELECT a.recorded_at, a.sequence, a.device_id, a.ordinal, a.kind,
            CASE WHEN who.grant_id IS NULL THEN a.value END
        FROM passerelle.annotation a
        JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
        WHERE a.patient_id = who.patient_id AND a.recorded_at BETWEEN first AND last AND a.withdrawn_at IS NULL
          AND r.patient_id = who.patient_id AND r.recorded_at BETWEEN first AND last
          AND (who.kinds IS NULL OR r.kind = ANY (who.kinds))
          AND (who.grant_id IS NULL OR a.kind IN (2, 3, 4))
          AND (
              (who.period_start IS NULL AND who.period_end IS NULL)
              OR EXISTS (
                  SELECT 1 FROM passerelle.clock_segment s
                  WHERE s.patient_id = r.patient_id AND s.device_id = r.device_id AND s.superseded_at IS NULL
                    AND r.sequence BETWEEN s.first_sequence AND s.last_sequence
                    AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        >= coalesce(who.period_start, '-infinity')
                    AND r.recorded_at + s.shift_seconds * interval '1 second'
                        < coalesce(who.period_end, 'infinity')));
END $$;

-- Days in the person's zone; of a grant with a period, the days that lie wholly within it.
CREATE FUNCTION passerelle.days_by_token(token bytea, first date, last date)
RETURNS SETOF passerelle.daily_summary
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    zone text;
BEGIN
    who := passerelle.bearer(token);
    SELECT p.timezone INTO zone FROM passerelle.patient p WHERE p.patient_id = who.patient_id;
    RETURN QUERY SELECT s.* FROM passerelle.daily_summary s
        WHERE s.patient_id = who.patient_id AND s.day BETWEEN first AND last
          AND (who.kinds IS NULL OR s.kind = ANY (who.kinds))
          AND (who.period_start IS NULL OR s.day::timestamp AT TIME ZONE zone >= who.period_start)
          AND (who.period_end IS NULL OR (s.day + 1)::timestamp AT TIME ZONE zone <= who.period_end);
END $$;

-- Who looked: for the person's own session.
CREATE FUNCTION passerelle.access_log_by_token(token bytea, before int8, count int4)
RETURNS SETOF passerelle.access_log
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    IF who.grant_id IS NULL THEN
        RETURN QUERY SELECT l.* FROM passerelle.access_log l
            WHERE l.patient_id = who.patient_id AND l.entry_id < before ORDER BY l.entry_id DESC LIMIT count;
    END IF;
END $$;

-- Writes down that the bearer of a grant looked; null for a session, and for a token that opens nothing.
CREATE FUNCTION passerelle.record_access_by_token(token bytea, outcome int2, what text) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    given record;
BEGIN
    who := passerelle.bearer(token);
    IF who.grant_id IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT g.grantee, g.organisation, g.purpose INTO given FROM passerelle.grant_ g
        WHERE g.patient_id = who.patient_id AND g.grant_id = who.grant_id;
    RETURN passerelle.append_access(who.patient_id, now(), 2::int2, record_access_by_token.outcome, NULL, NULL,
        who.grant_id, given.grantee, given.organisation, given.purpose, record_access_by_token.what, NULL);
END $$;
