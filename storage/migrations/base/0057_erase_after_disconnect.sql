-- A space that was disconnected is fed no more, so nobody would ever tell it what was erased: a person who was
-- erased would have waited for it for ever. What it still holds is counted in the receipt, which says that it was
-- not told, and is forgotten here.

-- Nobody tells this space: the person has to ask it.
ALTER TABLE passerelle.erasure_at_space ADD COLUMN not_told boolean NOT NULL DEFAULT false;

-- Forgets what a disconnected space holds of a device, and says so in the receipts that waited for it. How many
-- it holds that are erased now; those that an earlier erasure marked are in its receipt.
CREATE FUNCTION passerelle.forget_disconnected(
    patient int4, space uuid, device int2, ats timestamptz[], sequences int4[], ordinals int2[]
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held int8;
    waited int8;
BEGIN
    IF ats IS NULL THEN
        DELETE FROM passerelle.delivery d
            WHERE d.patient_id = forget_disconnected.patient AND d.device_id = forget_disconnected.device
              AND d.space_id = forget_disconnected.space AND d.state = 9;
        GET DIAGNOSTICS waited = ROW_COUNT;
        IF waited > 0 THEN
            UPDATE passerelle.erasure_at_space s SET not_told = true
                WHERE s.patient_id = forget_disconnected.patient AND s.space_id = forget_disconnected.space
                  AND s.told_at IS NULL;
        END IF;
        DELETE FROM passerelle.delivery d
            WHERE d.patient_id = forget_disconnected.patient AND d.device_id = forget_disconnected.device
              AND d.space_id = forget_disconnected.space;
    ELSE
        DELETE FROM passerelle.delivery d USING unnest(ats, sequences, ordinals) AS key (at, number, rank)
            WHERE d.patient_id = forget_disconnected.patient AND d.device_id = forget_disconnected.device
              AND d.space_id = forget_disconnected.space
              AND d.recorded_at = key.at AND d.sequence = key.number AND d.ordinal = key.rank;
    END IF;
    GET DIAGNOSTICS held = ROW_COUNT;
    RETURN held;
END $$;

-- As in 0050, for spaces that are fed; what the others hold is forgotten.
CREATE OR REPLACE FUNCTION passerelle.mark_deliveries(
    patient int4, erasure uuid, device int2, ats timestamptz[], sequences int4[], ordinals int2[]
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    fed record;
    marked int8;
    every int8 := 0;
BEGIN
    FOR fed IN SELECT s.space_id, s.url, s.disconnected_at IS NOT NULL AS ended FROM passerelle.space s
        WHERE s.patient_id = mark_deliveries.patient
    LOOP
        -- What a space refused (2) or erased by itself (4) it does not hold.
        IF ats IS NULL THEN
            DELETE FROM passerelle.delivery d
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND (d.state = 4 OR (d.state = 2 AND d.remote_id IS NULL));
        ELSE
            DELETE FROM passerelle.delivery d USING unnest(ats, sequences, ordinals) AS key (at, number, rank)
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND (d.state = 4 OR (d.state = 2 AND d.remote_id IS NULL))
                  AND d.recorded_at = key.at AND d.sequence = key.number AND d.ordinal = key.rank;
        END IF;
        IF fed.ended THEN
            marked := passerelle.forget_disconnected(patient, fed.space_id, device, ats, sequences, ordinals);
        ELSIF ats IS NULL THEN
            UPDATE passerelle.delivery d SET state = 9
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND d.state <> 9;
            GET DIAGNOSTICS marked = ROW_COUNT;
        ELSE
            UPDATE passerelle.delivery d SET state = 9 FROM unnest(ats, sequences, ordinals) AS key (at, number, rank)
                WHERE d.patient_id = mark_deliveries.patient AND d.device_id = mark_deliveries.device
                  AND d.space_id = fed.space_id AND d.state <> 9
                  AND d.recorded_at = key.at AND d.sequence = key.number AND d.ordinal = key.rank;
            GET DIAGNOSTICS marked = ROW_COUNT;
        END IF;
        IF marked > 0 THEN
            INSERT INTO passerelle.erasure_at_space AS known
                    (patient_id, erasure_id, space_id, url, readings, not_told)
                VALUES (mark_deliveries.patient, mark_deliveries.erasure, fed.space_id, fed.url, marked, fed.ended)
                ON CONFLICT (patient_id, erasure_id, space_id)
                DO UPDATE SET readings = known.readings + excluded.readings;
            every := every + marked;
        END IF;
    END LOOP;
    RETURN every;
END $$;

-- As in 0050; for a space that was disconnected meanwhile nobody waits.
CREATE OR REPLACE FUNCTION passerelle.erase_last_trace(patient int4) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    ended uuid;
BEGIN
    PERFORM 1 FROM passerelle.patient p WHERE p.patient_id = erase_last_trace.patient AND p.label = '' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    FOR ended IN SELECT s.space_id FROM passerelle.space s
        WHERE s.patient_id = erase_last_trace.patient AND s.disconnected_at IS NOT NULL
    LOOP
        UPDATE passerelle.erasure_at_space s SET not_told = true
            WHERE s.patient_id = erase_last_trace.patient AND s.space_id = ended AND s.told_at IS NULL;
        DELETE FROM passerelle.delivery d
            WHERE d.patient_id = erase_last_trace.patient AND d.space_id = ended;
    END LOOP;
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

-- As in 0050; who connects a space again completes no receipt that says that it was not told.
CREATE OR REPLACE FUNCTION passerelle.erasure_told(patient int4, space uuid, at timestamptz) RETURNS int4
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
        WHERE s.patient_id = erasure_told.patient AND s.space_id = erasure_told.space AND s.told_at IS NULL
          AND NOT s.not_told;
    GET DIAGNOSTICS completed = ROW_COUNT;
    PERFORM passerelle.erase_last_trace(patient);
    RETURN completed;
END $$;

-- Who waits already. No Citus has anybody yet.
DO $$
DECLARE
    waiting int4;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    FOR waiting IN SELECT patient_id FROM passerelle.patient WHERE label = '' LOOP
        PERFORM passerelle.erase_last_trace(waiting);
    END LOOP;
END $$;
