-- Reading in pages, for the role that serves HTTP. Pages are in order of (effective time, recorded_at, sequence,
-- device, ordinal), the next one begins after the last row of the one before: so readings that come meanwhile
-- neither repeat nor hide a row. Within a clock segment effective time runs as `recorded_at` does, so that the
-- primary key gives the rows in order, and no more are read than the page holds. See docs/decisions/0036.

-- Whose the readings are that a grant opens, as which grant; a session of the person is none.
CREATE FUNCTION passerelle.grant_by_token(token bytea)
RETURNS TABLE (patient_id int4, uuid uuid, name text, timezone text, grant_id uuid, kinds int2[],
    period_start timestamptz, period_end timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE who record;
BEGIN
    who := passerelle.bearer(token);
    IF who.grant_id IS NOT NULL THEN
        RETURN QUERY SELECT p.patient_id, p.uuid, p.name, p.timezone, who.grant_id::uuid, who.kinds::int2[],
                who.period_start::timestamptz, who.period_end::timestamptz
            FROM passerelle.patient p WHERE p.patient_id = who.patient_id;
    END IF;
END $$;

-- The kinds that are asked for and given; null for every kind.
CREATE FUNCTION passerelle.both_kinds(asked int2[], given int2[]) RETURNS int2[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN given IS NULL THEN asked WHEN asked IS NULL THEN given
        ELSE ARRAY(SELECT kind FROM unnest(asked) AS kind WHERE kind = ANY (given)) END
$$;

-- Which devices of a person have readings of these kinds in `first..until` of effective time, or perhaps have: by
-- the days' summaries, in which those are not that the person excluded, nor those without a time. Null for every
-- kind: then nothing is told apart.
CREATE FUNCTION passerelle.devices_measuring(patient int4, kinds int2[], first timestamptz, until timestamptz)
RETURNS int2[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF devices_measuring.kinds IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT s.device_id FROM passerelle.daily_summary s
            WHERE s.patient_id = patient AND s.kind = ANY (devices_measuring.kinds)
              AND s.day BETWEEN first::date - 3 AND until::date + 3
        UNION
        SELECT a.device_id FROM passerelle.annotation a
            JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
            WHERE a.patient_id = patient AND r.patient_id = patient AND a.withdrawn_at IS NULL AND a.kind = 2
              AND r.kind = ANY (devices_measuring.kinds));
END $$;

-- The first rows of one device after a key, or the last ones before it, at most `count`, as arrays. The key of
-- the boundary is (low_at or high_at, after_sequence, after_device, after_ordinal). `cases`: of kind, unit and
-- sample type, packed, where a search tells them apart.
CREATE FUNCTION passerelle.page_rows(
    patient int4, of_device int2, first_sequence int4, last_sequence int4, low_at timestamptz, high_at timestamptz,
    after_sequence int4, after_device int2, after_ordinal int2, kinds int2[], cases int4[], count int4,
    backwards boolean, OUT recorded_at timestamptz[], OUT numbers int8[], OUT marks int8[], OUT codes int8[]
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    IF backwards THEN
        SELECT array_agg(p.recorded_at), array_agg(p.numbers), array_agg(p.marks), array_agg(p.codes)
        INTO page_rows.recorded_at, page_rows.numbers, page_rows.marks, page_rows.codes FROM (
            SELECT r.recorded_at, r.sequence * 4294967296 + r.mantissa AS numbers,
                r.flags * 4294967296 + r.device_id * 65536 + r.ordinal AS marks,
                r.kind * 1099511627776 + (r.exponent + 128) * 4294967296 + r.unit * 16777216::int8
                    + r.absent * 65536 + r.sample + 1 AS codes
            FROM passerelle.reading r
            WHERE r.patient_id = patient AND r.recorded_at BETWEEN low_at AND high_at
              AND (r.recorded_at, r.sequence, r.device_id, r.ordinal)
                  < (high_at, after_sequence, after_device, after_ordinal)
              AND r.device_id = of_device AND r.sequence BETWEEN page_rows.first_sequence AND page_rows.last_sequence
              AND (page_rows.kinds IS NULL OR r.kind = ANY (page_rows.kinds))
              AND (cases IS NULL OR r.kind * 4096 + r.unit * 32
                  + CASE WHEN r.sample < 0 THEN 0 ELSE (r.sample & 15) + 1 END = ANY (cases))
            ORDER BY r.recorded_at DESC, r.sequence DESC, r.device_id DESC, r.ordinal DESC LIMIT page_rows.count
        ) AS p;
    ELSE
        SELECT array_agg(p.recorded_at), array_agg(p.numbers), array_agg(p.marks), array_agg(p.codes)
        INTO page_rows.recorded_at, page_rows.numbers, page_rows.marks, page_rows.codes FROM (
            SELECT r.recorded_at, r.sequence * 4294967296 + r.mantissa AS numbers,
                r.flags * 4294967296 + r.device_id * 65536 + r.ordinal AS marks,
                r.kind * 1099511627776 + (r.exponent + 128) * 4294967296 + r.unit * 16777216::int8
                    + r.absent * 65536 + r.sample + 1 AS codes
            FROM passerelle.reading r
            WHERE r.patient_id = patient AND r.recorded_at BETWEEN low_at AND high_at
              AND (r.recorded_at, r.sequence, r.device_id, r.ordinal)
                  > (low_at, after_sequence, after_device, after_ordinal)
              AND r.device_id = of_device AND r.sequence BETWEEN page_rows.first_sequence AND page_rows.last_sequence
              AND (page_rows.kinds IS NULL OR r.kind = ANY (page_rows.kinds))
              AND (cases IS NULL OR r.kind * 4096 + r.unit * 32
                  + CASE WHEN r.sample < 0 THEN 0 ELSE (r.sample & 15) + 1 END = ANY (cases))
            ORDER BY r.recorded_at, r.sequence, r.device_id, r.ordinal LIMIT page_rows.count
        ) AS p;
    END IF;
END $$;

-- Whether anything lies beside readings of a stretch of `recorded_at`, or their versions are above 1: for a sensor's
-- page there is nothing, and nothing more is asked for it.
CREATE FUNCTION passerelle.something_beside(patient int4, one timestamptz, other timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    first timestamptz := least(one, other);
    last timestamptz := greatest(one, other);
BEGIN
    PERFORM 1 FROM passerelle.reading_context c
        WHERE c.patient_id = patient AND c.recorded_at BETWEEN first AND last LIMIT 1;
    IF FOUND THEN RETURN true; END IF;
    PERFORM 1 FROM passerelle.annotation a
        WHERE a.patient_id = patient AND a.recorded_at BETWEEN first AND last LIMIT 1;
    IF FOUND THEN RETURN true; END IF;
    PERFORM 1 FROM passerelle.observation_version v
        WHERE v.patient_id = patient AND v.recorded_at BETWEEN first AND last LIMIT 1;
    IF FOUND THEN RETURN true; END IF;
    PERFORM 1 FROM passerelle.reading_quantity q
        WHERE q.patient_id = patient AND q.recorded_at BETWEEN first AND last LIMIT 1;
    RETURN FOUND;
END $$;

-- A page of what a token lets through, of these devices (null: every device), in `first..until` of effective time
-- (until excluded), after a row of that order where one is given. A row of the answer is of one clock segment; it
-- may hold more than the page, never less. A segment is only looked at if something of it can be on the page:
-- they come in the order of time, and `horizon` is where the page ends at the latest.
CREATE FUNCTION passerelle.page_by_token(
    token bytea, kinds int2[], cases int4[], devices int2[], first timestamptz, until timestamptz,
    after_at timestamptz, after_recorded_at timestamptz, after_sequence int4, after_device int2, after_ordinal int2,
    count int4, backwards boolean
) RETURNS TABLE (device_id int2, shift interval, utc_offset_minutes int2, source int2, beside boolean,
    recorded_at timestamptz[], numbers int8[], marks int8[], codes int8[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    stretch record;
    rows record;
    wanted int2[];
    measuring int2[];
    edge timestamptz;
    side int4;
    last_at timestamptz;
    furthest timestamptz;
    horizon timestamptz;
    found int4 := 0;
BEGIN
    who := passerelle.bearer(token);
    wanted := passerelle.both_kinds(page_by_token.kinds, who.kinds);
    IF backwards THEN
        until := least(until, after_at + interval '1 microsecond');
    ELSE
        first := greatest(first, after_at);
    END IF;
    measuring := passerelle.devices_measuring(who.patient_id, wanted, first, until);
    FOR stretch IN SELECT s.*, s.first_recorded_at + s.shift AS starts, s.last_recorded_at + s.shift AS ends
        FROM passerelle.stretches(who.patient_id, greatest(first, who.period_start), least(until, who.period_end)) s
        WHERE (page_by_token.devices IS NULL OR s.device_id = ANY (page_by_token.devices))
          AND (measuring IS NULL OR s.device_id = ANY (measuring))
        ORDER BY CASE WHEN backwards THEN s.last_recorded_at + s.shift END DESC,
            CASE WHEN NOT backwards THEN s.first_recorded_at + s.shift END
    LOOP
        IF backwards THEN
            EXIT WHEN stretch.ends < horizon;
            stretch.first_recorded_at := greatest(stretch.first_recorded_at, horizon - stretch.shift);
            edge := stretch.last_recorded_at;
        ELSE
            EXIT WHEN stretch.starts > horizon;
            stretch.last_recorded_at := least(stretch.last_recorded_at, horizon - stretch.shift);
            edge := stretch.first_recorded_at;
        END IF;
        -- Of the rows at the very time of the row before the page, those of this segment are before it, after it,
        -- or in the order of the rest of the key.
        side := CASE WHEN after_at IS NULL OR edge <> after_at - stretch.shift THEN 0
            WHEN edge = after_recorded_at THEN NULL WHEN (edge > after_recorded_at) = backwards THEN 1 ELSE 0 END;
        SELECT * INTO rows FROM passerelle.page_rows(who.patient_id, stretch.device_id, stretch.first_sequence,
            stretch.last_sequence, stretch.first_recorded_at, stretch.last_recorded_at,
            CASE WHEN side IS NULL THEN after_sequence WHEN (side = 0) = backwards THEN 2147483647 ELSE -2147483648 END,
            CASE WHEN side IS NULL THEN after_device WHEN (side = 0) = backwards THEN 32767 ELSE -32768 END::int2,
            CASE WHEN side IS NULL THEN after_ordinal WHEN (side = 0) = backwards THEN 32767 ELSE -32768 END::int2,
            wanted, cases, page_by_token.count, backwards);
        CONTINUE WHEN rows.recorded_at IS NULL;
        RETURN QUERY SELECT stretch.device_id, stretch.shift, stretch.utc_offset_minutes, stretch.source,
            passerelle.something_beside(who.patient_id, rows.recorded_at[1],
                rows.recorded_at[cardinality(rows.recorded_at)]),
            rows.recorded_at, rows.numbers, rows.marks, rows.codes;
        found := found + cardinality(rows.recorded_at);
        last_at := rows.recorded_at[cardinality(rows.recorded_at)] + stretch.shift;
        IF backwards THEN
            furthest := least(furthest, last_at);
            horizon := CASE WHEN cardinality(rows.recorded_at) = page_by_token.count THEN greatest(horizon, last_at)
                WHEN found >= page_by_token.count THEN coalesce(horizon, furthest) END;
        ELSE
            furthest := greatest(furthest, last_at);
            horizon := CASE WHEN cardinality(rows.recorded_at) = page_by_token.count THEN least(horizon, last_at)
                WHEN found >= page_by_token.count THEN coalesce(horizon, furthest) END;
        END IF;
    END LOOP;
END $$;

-- The readings that are given no time, in the order of their keys, after one where it is given: at most `count` of
-- each segment that says so (every record lies in a segment). They are in no period: a grant that has one does not
-- let them through.
CREATE FUNCTION passerelle.untimed_by_token(
    token bytea, kinds int2[], cases int4[], devices int2[], after_recorded_at timestamptz, after_sequence int4,
    after_device int2, after_ordinal int2, count int4
) RETURNS TABLE (device_id int2, shift interval, utc_offset_minutes int2, source int2, beside boolean,
    recorded_at timestamptz[], numbers int8[], marks int8[], codes int8[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    stretch record;
    rows record;
    wanted int2[];
    inside boolean;
BEGIN
    who := passerelle.bearer(token);
    wanted := passerelle.both_kinds(untimed_by_token.kinds, who.kinds);
    FOR stretch IN SELECT s.device_id, s.first_sequence, s.last_sequence, s.first_recorded_at, s.last_recorded_at,
            s.utc_offset_minutes, s.source FROM passerelle.clock_segment s
        WHERE s.patient_id = who.patient_id AND s.superseded_at IS NULL AND s.shift_seconds IS NULL
          AND who.period_start IS NULL AND who.period_end IS NULL
          AND (untimed_by_token.devices IS NULL OR s.device_id = ANY (untimed_by_token.devices))
          AND (after_recorded_at IS NULL OR s.last_recorded_at >= after_recorded_at)
    LOOP
        inside := coalesce(stretch.first_recorded_at <= after_recorded_at, false);
        SELECT * INTO rows FROM passerelle.page_rows(who.patient_id, stretch.device_id, stretch.first_sequence,
            stretch.last_sequence, greatest(stretch.first_recorded_at, after_recorded_at), stretch.last_recorded_at,
            CASE WHEN inside THEN after_sequence ELSE -2147483648 END,
            CASE WHEN inside THEN after_device ELSE -32768 END::int2,
            CASE WHEN inside THEN after_ordinal ELSE -32768 END::int2,
            wanted, cases, untimed_by_token.count, false);
        IF rows.recorded_at IS NOT NULL THEN
            RETURN QUERY SELECT stretch.device_id, NULL::interval, stretch.utc_offset_minutes, stretch.source,
                passerelle.something_beside(who.patient_id, rows.recorded_at[1],
                    rows.recorded_at[cardinality(rows.recorded_at)]),
                rows.recorded_at, rows.numbers, rows.marks, rows.codes;
        END IF;
    END LOOP;
END $$;

-- The versions above 1 of the readings that a token lets through.
CREATE FUNCTION passerelle.versions_by_token(token bytea, first timestamptz, last timestamptz)
RETURNS TABLE (recorded_at timestamptz, sequence int4, device_id int2, ordinal int2, version int4)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
BEGIN
    who := passerelle.bearer(token);
    PERFORM 1 FROM passerelle.observation_version v
        WHERE v.patient_id = who.patient_id AND v.recorded_at BETWEEN first AND last LIMIT 1;
    IF NOT FOUND THEN
        RETURN;  -- most stretches of a sensor have none: found sooner than a join is begun
    END IF;
    FOR open IN SELECT * FROM passerelle.windows(who.patient_id, who.period_start, who.period_end, first, last) LOOP
        RETURN QUERY SELECT v.recorded_at, v.sequence, v.device_id, v.ordinal, v.version
            FROM passerelle.observation_version v
            JOIN passerelle.reading r USING (patient_id, recorded_at, sequence, device_id, ordinal)
            WHERE v.patient_id = who.patient_id AND r.patient_id = who.patient_id
              AND v.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
              AND v.sequence BETWEEN open.first_sequence AND open.last_sequence
              AND (open.device_id IS NULL OR v.device_id = open.device_id)
              AND (who.kinds IS NULL OR r.kind = ANY (who.kinds));
    END LOOP;
END $$;

-- The devices that a token lets through: of a grant with kinds or a period, those that have a reading in it.
CREATE OR REPLACE FUNCTION passerelle.devices_by_token(token bytea)
RETURNS TABLE (device_id int2, scheme text, identity text, manufacturer text, model text, serial text,
    firmware text, profile text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    open record;
    shown int2[];
BEGIN
    who := passerelle.bearer(token);
    IF who.period_start IS NULL AND who.period_end IS NULL THEN
        IF who.kinds IS NOT NULL THEN
            -- What no segment places is in no day's summary.
            -- Two statements: a function of ours within a distributed query would be run where the rows are.
            shown := passerelle.devices_measuring(who.patient_id, who.kinds, '-infinity', 'infinity');
            shown := shown || ARRAY(
                SELECT s.device_id FROM passerelle.clock_segment s
                    JOIN passerelle.reading r ON r.patient_id = s.patient_id AND r.device_id = s.device_id
                      AND r.sequence BETWEEN s.first_sequence AND s.last_sequence
                      AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                    WHERE s.patient_id = who.patient_id AND r.patient_id = who.patient_id
                      AND s.superseded_at IS NULL AND s.shift_seconds IS NULL AND r.kind = ANY (who.kinds));
        END IF;
    ELSE
        shown := '{}';
        FOR open IN SELECT * FROM passerelle.windows(
            who.patient_id, who.period_start, who.period_end, '-infinity', 'infinity')
        LOOP
            CONTINUE WHEN open.device_id = ANY (shown);
            PERFORM 1 FROM passerelle.reading r
                WHERE r.patient_id = who.patient_id AND r.device_id = open.device_id
                  AND r.recorded_at BETWEEN open.first_recorded_at AND open.last_recorded_at
                  AND r.sequence BETWEEN open.first_sequence AND open.last_sequence
                  AND (who.kinds IS NULL OR r.kind = ANY (who.kinds)) LIMIT 1;
            IF FOUND THEN
                shown := shown || open.device_id;
            END IF;
        END LOOP;
    END IF;
    RETURN QUERY SELECT d.device_id, d.scheme, d.identity, d.manufacturer, d.model, d.serial, d.firmware, d.profile
        FROM passerelle.device d
        WHERE d.patient_id = who.patient_id AND (shown IS NULL OR d.device_id = ANY (shown));
END $$;
