-- A space that takes no changes will never confirm an erasure: the receipt says so, and the person asks it. Of a
-- person who was erased with everything nothing waits for such a space.
CREATE FUNCTION passerelle.erasure_given_up(patient int4, space uuid, at timestamptz) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    given_up int4;
BEGIN
    UPDATE passerelle.erasure_at_space s SET not_told = true
        WHERE s.patient_id = erasure_given_up.patient AND s.space_id = erasure_given_up.space
          AND s.told_at IS NULL AND NOT s.not_told;
    GET DIAGNOSTICS given_up = ROW_COUNT;
    PERFORM 1 FROM passerelle.patient p WHERE p.patient_id = erasure_given_up.patient AND p.label = '';
    IF FOUND THEN
        UPDATE passerelle.space s SET disconnected_at = coalesce(s.disconnected_at, erasure_given_up.at)
            WHERE s.patient_id = erasure_given_up.patient AND s.space_id = erasure_given_up.space;
        PERFORM passerelle.erase_last_trace(patient);
    END IF;
    RETURN given_up;
END $$;
