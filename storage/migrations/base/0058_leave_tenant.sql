-- With a person who is erased goes what else knows them at a space by their UUID. A code for nobody in particular
-- admits for everybody, and so does a gateway: that code goes, and that gateway's registration ends.
CREATE FUNCTION passerelle.leave_tenant(patient int4, erasure uuid, at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whole boolean;
    who uuid;
    tenant uuid;
BEGIN
    SELECT e.everything INTO STRICT whole FROM passerelle.erasure e
        WHERE e.patient_id = leave_tenant.patient AND e.erasure_id = leave_tenant.erasure;
    IF NOT whole THEN
        RETURN;
    END IF;
    SELECT p.uuid INTO who FROM passerelle.patient p WHERE p.patient_id = leave_tenant.patient;
    -- Whoever erases a person again, while another space has yet to be told, finds no such row, and counts nothing.
    DELETE FROM passerelle.tenant_patient t WHERE t.patient_id = leave_tenant.patient
        RETURNING t.tenant_id INTO tenant;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM passerelle.erase_rows('patient_gateway', patient, NULL, NULL, NULL, NULL);
    DELETE FROM passerelle.space_patient s WHERE s.uuid = who AND s.tenant_id = tenant;
    UPDATE passerelle.tenant t SET patients = greatest(t.patients - 1, 0) WHERE t.tenant_id = tenant;
    DELETE FROM passerelle.registration_code c WHERE c.tenant_id = tenant AND c.patient_uuid = who;
    UPDATE passerelle.gateway g SET patient_uuid = NULL, revoked_at = coalesce(g.revoked_at, leave_tenant.at)
        WHERE g.tenant_id = tenant AND g.patient_uuid = who;
END $$;
