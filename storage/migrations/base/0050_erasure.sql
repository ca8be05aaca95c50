-- Erasing. Not even the role that stores readings may delete one: it may call these functions, which leave a
-- receipt in the same transaction, so that nothing goes without a trace of how much went, when, and why.
-- See docs/decisions/0038.

-- There since something of this device was erased: the salt of `erased_record`.
ALTER TABLE passerelle.device ADD COLUMN erased_salt bytea;

-- Which records shall not come back when the device is read again. `digests`: of each, the first eight bytes of
-- the SHA-256 of the salt, `recorded_at` and `sequence`, in the order of the digests. No value is in them: one
-- that was would be found by trying all values.
CREATE TABLE passerelle.erased_record (
    patient_id int4 NOT NULL,
    device_id  int2 NOT NULL,
    part       int4 NOT NULL,           -- counted per device
    digests    bytea NOT NULL,
    PRIMARY KEY (patient_id, device_id, part)
);

-- The receipt: what was to go (the scope), when, how many of each went, and a hash. Nothing of what it was.
CREATE TABLE passerelle.erasure (
    patient_id      int4 NOT NULL,
    erasure_id      uuid NOT NULL,
    reason          int2 NOT NULL,      -- as in storage.erasure
    device_id       int2,               -- null: every device
    kinds           int2[],             -- null: every kind
    first_day       date,               -- in the person's zone, both included; null: not bounded
    last_day        date,
    everything      boolean NOT NULL,   -- the person too
    erased_at       timestamptz NOT NULL,
    readings        int8 NOT NULL DEFAULT 0,
    quantities      int8 NOT NULL DEFAULT 0,
    contexts        int8 NOT NULL DEFAULT 0,
    annotations     int8 NOT NULL DEFAULT 0,
    refused_frames  int8 NOT NULL DEFAULT 0,
    clock_segments  int8 NOT NULL DEFAULT 0,
    outbox_entries  int8 NOT NULL DEFAULT 0,
    shares          int8 NOT NULL DEFAULT 0,
    grants          int8 NOT NULL DEFAULT 0,
    tokens          int8 NOT NULL DEFAULT 0,
    log_entries     int8 NOT NULL DEFAULT 0,
    log_until       int8,               -- entries of the access log up to this one have no content any more
    log_head        bytea,              -- the chain's last value then
    digest          bytea NOT NULL,     -- SHA-256, over the digests of what was erased, part after part
    PRIMARY KEY (patient_id, erasure_id)
);

-- A space that an erasure reaches: how many readings it held, and when it confirmed that they are gone.
CREATE TABLE passerelle.erasure_at_space (
    patient_id int4 NOT NULL,
    erasure_id uuid NOT NULL,
    space_id   uuid NOT NULL,
    url        text NOT NULL,
    readings   int8 NOT NULL,
    told_at    timestamptz,
    PRIMARY KEY (patient_id, erasure_id, space_id)
);

-- Opens a receipt. Whoever erases holds the person's row and those of the devices, so that nobody stores.
CREATE FUNCTION passerelle.begin_erasure(
    patient int4, erasure uuid, reason int2, device int2, kinds int2[], first_day date, last_day date,
    everything boolean, at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    of_device int2;
    fresh bytea;
BEGIN
    -- A compressed month is opened up as far as it must be, however much that is; on many machines one shard
    -- after the other. Where an engine is not there its setting is a name without a meaning.
    PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
    PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
    PERFORM 1 FROM passerelle.patient p WHERE p.patient_id = begin_erasure.patient FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    FOR of_device IN SELECT d.device_id FROM passerelle.device d
        WHERE d.patient_id = begin_erasure.patient
          AND (begin_erasure.device IS NULL OR d.device_id = begin_erasure.device)
        ORDER BY d.device_id FOR UPDATE
    LOOP
        fresh := uuid_send(gen_random_uuid());
        UPDATE passerelle.device d SET erased_salt = fresh
            WHERE d.patient_id = begin_erasure.patient AND d.device_id = of_device AND d.erased_salt IS NULL;
    END LOOP;
    INSERT INTO passerelle.erasure (patient_id, erasure_id, reason, device_id, kinds, first_day, last_day, everything,
        erased_at, digest)
    VALUES (begin_erasure.patient, begin_erasure.erasure, begin_erasure.reason, begin_erasure.device,
        begin_erasure.kinds, begin_erasure.first_day, begin_erasure.last_day, begin_erasure.everything,
        begin_erasure.at, sha256(''::bytea));
    RETURN true;
END $$;

-- The rows of one table that lie under readings' keys; how many there were. Without keys all of a device, and
-- without a device all of a person.
CREATE FUNCTION passerelle.erase_rows(
    name text, patient int4, device int2, ats timestamptz[], sequences int4[], ordinals int2[]
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first timestamptz;
    last timestamptz;
    erased int8;
BEGIN
    IF to_regclass(format('passerelle.%I', name)) IS NULL THEN
        RETURN 0;
    END IF;
    IF device IS NULL THEN
        EXECUTE format('DELETE FROM passerelle.%I WHERE patient_id = $1', name) USING patient;
    ELSIF ats IS NULL THEN
        EXECUTE format('DELETE FROM passerelle.%I WHERE patient_id = $1 AND device_id = $2', name)
            USING patient, device;
    ELSE
        -- The bounds are told as well, so that no other month is opened.
        SELECT min(at), max(at) INTO first, last FROM unnest(ats) AS at;
        EXECUTE format('DELETE FROM passerelle.%I AS rows USING unnest($3, $4, $5) AS key (at, number, rank) '
            'WHERE rows.patient_id = $1 AND rows.device_id = $2 AND rows.recorded_at BETWEEN $6 AND $7 '
            'AND rows.recorded_at = key.at AND rows.sequence = key.number AND rows.ordinal = key.rank', name)
            USING patient, device, ats, sequences, ordinals, first, last;
    END IF;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

-- Counts the readings that are about to go, keeps what tells them again, and adds them to the receipt's hash.
CREATE FUNCTION passerelle.remember_erased(
    patient int4, erasure uuid, device int2, ats timestamptz[], sequences int4[], ordinals int2[], keep boolean
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    salt bytea;
    first timestamptz;
    last timestamptz;
    counted int8;
    brief bytea;
    number int4;
BEGIN
    SELECT d.erased_salt INTO salt FROM passerelle.device d
        WHERE d.patient_id = remember_erased.patient AND d.device_id = remember_erased.device;
    IF ats IS NULL THEN
        SELECT count(*), string_agg(found.digest, ''::bytea ORDER BY found.digest) INTO counted, brief FROM (
            SELECT substring(sha256(salt || timestamptz_send(r.recorded_at) || int4send(r.sequence)) FOR 8) AS digest
            FROM passerelle.reading r
            WHERE r.patient_id = remember_erased.patient AND r.device_id = remember_erased.device) AS found;
    ELSE
        SELECT min(at), max(at) INTO first, last FROM unnest(ats) AS at;
        SELECT count(*), string_agg(found.digest, ''::bytea ORDER BY found.digest) INTO counted, brief FROM (
            SELECT substring(sha256(salt || timestamptz_send(r.recorded_at) || int4send(r.sequence)) FOR 8) AS digest
            FROM passerelle.reading r
            JOIN unnest(ats, sequences, ordinals) AS key (at, number, rank)
              ON r.recorded_at = key.at AND r.sequence = key.number AND r.ordinal = key.rank
            WHERE r.patient_id = remember_erased.patient AND r.device_id = remember_erased.device
              AND r.recorded_at BETWEEN first AND last) AS found;
    END IF;
    IF counted > 0 THEN
        UPDATE passerelle.erasure e SET readings = e.readings + counted, digest = sha256(e.digest || brief)
            WHERE e.patient_id = remember_erased.patient AND e.erasure_id = remember_erased.erasure;
        IF keep THEN
            SELECT coalesce(max(p.part), 0) + 1 INTO number FROM passerelle.erased_record p
                WHERE p.patient_id = remember_erased.patient AND p.device_id = remember_erased.device;
            INSERT INTO passerelle.erased_record (patient_id, device_id, part, digests)
                VALUES (remember_erased.patient, remember_erased.device, number, brief);
        END IF;
    END IF;
    RETURN counted;
END $$;

-- What spaces hold of these readings is theirs to erase: each is marked, and the receipt says how many. Where a
-- space refused one (2) or erased it by itself (4) there is nothing to tell.
CREATE FUNCTION passerelle.mark_deliveries(
    patient int4, erasure uuid, device int2, ats timestamptz[], sequences int4[], ordinals int2[]
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    fed record;
    marked int8;
    every int8 := 0;
BEGIN
    FOR fed IN SELECT s.space_id, s.url FROM passerelle.space s WHERE s.patient_id = mark_deliveries.patient LOOP
        IF ats IS NULL THEN
            DELETE FROM passerelle.delivery d
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND (d.state = 4 OR (d.state = 2 AND d.remote_id IS NULL));
            UPDATE passerelle.delivery d SET state = 9
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND d.state <> 9;
        ELSE
            DELETE FROM passerelle.delivery d USING unnest(ats, sequences, ordinals) AS key (at, number, rank)
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND (d.state = 4 OR (d.state = 2 AND d.remote_id IS NULL))
                  AND d.recorded_at = key.at AND d.sequence = key.number AND d.ordinal = key.rank;
            UPDATE passerelle.delivery d SET state = 9 FROM unnest(ats, sequences, ordinals) AS key (at, number, rank)
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND d.state <> 9
                  AND d.recorded_at = key.at AND d.sequence = key.number AND d.ordinal = key.rank;
        END IF;
        GET DIAGNOSTICS marked = ROW_COUNT;
        IF marked > 0 THEN
            INSERT INTO passerelle.erasure_at_space AS known (patient_id, erasure_id, space_id, url, readings)
                VALUES (mark_deliveries.patient, mark_deliveries.erasure, fed.space_id, fed.url, marked)
                ON CONFLICT (patient_id, erasure_id, space_id)
                DO UPDATE SET readings = known.readings + excluded.readings;
            every := every + marked;
        END IF;
    END LOOP;
    RETURN every;
END $$;

-- Erases the readings under these keys of one device, or, without keys, all of the device or of every device: the
-- readings, what lies beside them, and what was said of them. How many readings there were.
CREATE FUNCTION passerelle.erase_readings(
    patient int4, erasure uuid, device int2, ats timestamptz[], sequences int4[], ordinals int2[]
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whole boolean;
    each int2;
    gone int8 := 0;
    of_quantities int8;
    of_contexts int8;
    of_annotations int8;
    of_frames int8 := 0;
    of_segments int8 := 0;
    of_entries int8 := 0;
BEGIN
    SELECT e.everything INTO STRICT whole FROM passerelle.erasure e
        WHERE e.patient_id = erase_readings.patient AND e.erasure_id = erase_readings.erasure;
    FOR each IN SELECT d.device_id FROM passerelle.device d
        WHERE d.patient_id = erase_readings.patient AND d.device_id = coalesce(erase_readings.device, d.device_id)
        ORDER BY d.device_id
    LOOP
        gone := gone + passerelle.remember_erased(patient, erasure, each, ats, sequences, ordinals, NOT whole);
        PERFORM passerelle.mark_deliveries(patient, erasure, each, ats, sequences, ordinals);
    END LOOP;
    of_quantities := passerelle.erase_rows('reading_quantity', patient, device, ats, sequences, ordinals);
    of_contexts := passerelle.erase_rows('reading_context', patient, device, ats, sequences, ordinals);
    of_annotations := passerelle.erase_rows('annotation', patient, device, ats, sequences, ordinals);
    PERFORM passerelle.erase_rows('observation_version', patient, device, ats, sequences, ordinals);
    PERFORM passerelle.erase_rows('reading', patient, device, ats, sequences, ordinals);
    IF ats IS NULL THEN
        PERFORM passerelle.erase_rows('daily_summary', patient, device, NULL, NULL, NULL);
        of_frames := passerelle.erase_rows('refused_frame', patient, device, NULL, NULL, NULL);
        of_segments := passerelle.erase_rows('clock_segment', patient, device, NULL, NULL, NULL);
        of_entries := passerelle.erase_rows('outbox', patient, device, NULL, NULL, NULL);
    END IF;
    UPDATE passerelle.erasure e SET quantities = e.quantities + of_quantities, contexts = e.contexts + of_contexts,
            annotations = e.annotations + of_annotations, refused_frames = e.refused_frames + of_frames,
            clock_segments = e.clock_segments + of_segments, outbox_entries = e.outbox_entries + of_entries
        WHERE e.patient_id = erase_readings.patient AND e.erasure_id = erase_readings.erasure;
    RETURN gone;
END $$;

-- After readings of a device went by their keys: what was left around them within these bounds of `recorded_at`.
-- A segment that covers no reading any more goes, one that was replaced long ago too; an entry of the outbox that
-- tells of nothing else; and the frames received in these days.
CREATE FUNCTION passerelle.erase_around(
    patient int4, erasure uuid, device int2, first timestamptz, last timestamptz,
    frames_from timestamptz, frames_until timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    of_frames int8;
    of_segments int8;
    of_entries int8;
BEGIN
    DELETE FROM passerelle.clock_segment s
        WHERE s.patient_id = erase_around.patient AND s.device_id = erase_around.device
          AND s.first_recorded_at <= erase_around.last AND s.last_recorded_at >= erase_around.first
          AND NOT EXISTS (
              SELECT 1 FROM passerelle.reading r
              WHERE r.patient_id = erase_around.patient AND r.device_id = erase_around.device
                AND r.patient_id = s.patient_id
                AND r.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at
                AND r.sequence BETWEEN s.first_sequence AND s.last_sequence);
    GET DIAGNOSTICS of_segments = ROW_COUNT;
    DELETE FROM passerelle.outbox o
        WHERE o.patient_id = erase_around.patient AND o.device_id = erase_around.device
          AND o.first_recorded_at >= erase_around.first AND o.last_recorded_at <= erase_around.last
          AND NOT EXISTS (
              SELECT 1 FROM passerelle.reading r
              WHERE r.patient_id = erase_around.patient AND r.device_id = erase_around.device
                AND r.patient_id = o.patient_id
                AND r.recorded_at BETWEEN o.first_recorded_at AND o.last_recorded_at);
    GET DIAGNOSTICS of_entries = ROW_COUNT;
    DELETE FROM passerelle.refused_frame f
        WHERE f.patient_id = erase_around.patient AND f.device_id = erase_around.device
          AND f.received_at >= erase_around.frames_from AND f.received_at < erase_around.frames_until;
    GET DIAGNOSTICS of_frames = ROW_COUNT;
    UPDATE passerelle.erasure e SET clock_segments = e.clock_segments + of_segments,
            outbox_entries = e.outbox_entries + of_entries, refused_frames = e.refused_frames + of_frames
        WHERE e.patient_id = erase_around.patient AND e.erasure_id = erase_around.erasure;
END $$;

-- What is left of a person's space once the readings of every device went: what was shared, with whom, and who
-- looked. A share that its shelf has yet to be told of keeps what the telling needs, nothing else. An entry of the
-- access log keeps its number, its digest and its place in the chain. With `everything` the person goes too; what
-- spaces have yet to be told keeps the person's row, without a name, and the devices' identities until they were.
CREATE FUNCTION passerelle.erase_person(patient int4, erasure uuid, at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whole boolean;
    of_shares int8;
    of_grants int8;
    of_tokens int8;
    of_log int8;
    of_entries int8;
    until int8;
    head bytea;
BEGIN
    SELECT e.everything INTO STRICT whole FROM passerelle.erasure e
        WHERE e.patient_id = erase_person.patient AND e.erasure_id = erase_person.erasure;
    SELECT count(*) INTO of_shares FROM passerelle.share s WHERE s.patient_id = erase_person.patient;
    DELETE FROM passerelle.share s WHERE s.patient_id = erase_person.patient
        AND (s.revocation_told_at IS NOT NULL OR s.expires_at <= erase_person.at);
    UPDATE passerelle.share s SET revoked_at = coalesce(s.revoked_at, erase_person.at), label = NULL,
            sealed_secret = ''::bytea, kinds = NULL, period_start = NULL, period_end = NULL, data_until = NULL
        WHERE s.patient_id = erase_person.patient;
    of_grants := passerelle.erase_rows('grant_', patient, NULL, NULL, NULL, NULL);
    of_tokens := passerelle.erase_rows('token', patient, NULL, NULL, NULL, NULL);
    of_entries := passerelle.erase_rows('outbox', patient, NULL, NULL, NULL, NULL);
    SELECT l.entry_id, l.chain INTO until, head FROM passerelle.access_log l
        WHERE l.patient_id = erase_person.patient ORDER BY l.entry_id DESC LIMIT 1;
    UPDATE passerelle.access_log l SET at = 'epoch', way = 0, outcome = 0, share_id = NULL, opening = NULL,
            grant_id = NULL, who = NULL, organisation = NULL, purpose = NULL, what = NULL, files = NULL, salt = NULL
        WHERE l.patient_id = erase_person.patient AND l.salt IS NOT NULL;
    GET DIAGNOSTICS of_log = ROW_COUNT;
    UPDATE passerelle.erasure e SET shares = e.shares + of_shares, grants = e.grants + of_grants,
            tokens = e.tokens + of_tokens, outbox_entries = e.outbox_entries + of_entries,
            log_entries = e.log_entries + of_log, log_until = until, log_head = head
        WHERE e.patient_id = erase_person.patient AND e.erasure_id = erase_person.erasure;
    IF whole THEN
        PERFORM passerelle.erase_rows('retention_rule', patient, NULL, NULL, NULL, NULL);
        PERFORM passerelle.erase_rows('erased_record', patient, NULL, NULL, NULL, NULL);
        PERFORM passerelle.erase_rows('job_claim', patient, NULL, NULL, NULL, NULL);
        UPDATE passerelle.patient p SET name = '', label = '', timezone = 'UTC', language = NULL, unit = NULL
            WHERE p.patient_id = erase_person.patient;
        UPDATE passerelle.device d SET manufacturer = NULL, model = NULL, serial = NULL, firmware = NULL,
                profile = NULL, last_sequence = NULL, clock_error_seconds = NULL, battery_percent = NULL,
                radio_address = NULL, radio_name = NULL, last_synced_at = NULL, erased_salt = NULL,
                forgotten_at = erase_person.at
            WHERE d.patient_id = erase_person.patient;
        PERFORM passerelle.erase_last_trace(patient);
    END IF;
END $$;

-- A person who was erased waits without a name until every space was told; then the rest goes.
CREATE FUNCTION passerelle.erase_last_trace(patient int4) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM 1 FROM passerelle.patient p WHERE p.patient_id = erase_last_trace.patient AND p.label = '' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM passerelle.delivery d WHERE d.patient_id = erase_last_trace.patient LIMIT 1;
    IF FOUND THEN
        RETURN false;
    END IF;
    PERFORM passerelle.erase_rows('space', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('space_patient', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('tenant_patient', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('patient_gateway', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('outbox', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('device', patient, NULL, NULL, NULL, NULL);
    PERFORM passerelle.erase_rows('patient', patient, NULL, NULL, NULL, NULL);
    RETURN true;
END $$;

-- A space confirmed: nothing that was erased is with it any more. How many receipts that completes.
CREATE FUNCTION passerelle.erasure_told(patient int4, space uuid, at timestamptz) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    completed int4;
BEGIN
    PERFORM 1 FROM passerelle.delivery d WHERE d.patient_id = erasure_told.patient
        AND d.space_id = erasure_told.space AND d.state = 9 LIMIT 1;
    IF FOUND THEN
        RETURN 0;
    END IF;
    UPDATE passerelle.erasure_at_space s SET told_at = erasure_told.at
        WHERE s.patient_id = erasure_told.patient AND s.space_id = erasure_told.space AND s.told_at IS NULL;
    GET DIAGNOSTICS completed = ROW_COUNT;
    PERFORM passerelle.erase_last_trace(patient);
    RETURN completed;
END $$;

-- Shares of which nothing is left but that they ended, and whose shelf knows it.
CREATE FUNCTION passerelle.erase_told_shares(patient int4) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    erased int4;
BEGIN
    DELETE FROM passerelle.share s WHERE s.patient_id = erase_told_shares.patient
        AND s.sealed_secret = ''::bytea AND s.revocation_told_at IS NOT NULL;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

-- The person takes back that records of a device shall not come again.
CREATE FUNCTION passerelle.allow_again(patient int4, device int2) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM 1 FROM passerelle.device d
        WHERE d.patient_id = allow_again.patient AND d.device_id = allow_again.device FOR UPDATE;
    PERFORM passerelle.erase_rows('erased_record', patient, device, NULL, NULL, NULL);
    UPDATE passerelle.device d SET erased_salt = NULL
        WHERE d.patient_id = allow_again.patient AND d.device_id = allow_again.device;
END $$;
