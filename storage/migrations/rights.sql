-- Who may do what. Run after any migration; the roles' names are settings of the transaction, since a server
-- that was there before us has names of its own. Where one role does all there is nothing to part.
DO $$
DECLARE
    writer text := nullif(nullif(current_setting('passerelle.writer'), ''), current_user);
    reader text := nullif(nullif(current_setting('passerelle.reader'), ''), current_user);
    called text;
BEGIN
    REVOKE ALL ON ALL TABLES IN SCHEMA passerelle FROM PUBLIC;
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA passerelle FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA passerelle FROM PUBLIC;
    REVOKE ALL ON SCHEMA passerelle FROM PUBLIC;
    IF writer IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA passerelle TO %I', writer);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA passerelle TO %I', writer);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA passerelle TO %I', writer);
        -- Readings are immutable: not even the role that stores them can change or delete one.
        EXECUTE format('GRANT INSERT ON passerelle.reading, passerelle.reading_quantity, passerelle.reading_context, '
            'passerelle.refused_frame, passerelle.outbox TO %I', writer);
        EXECUTE format('GRANT INSERT, UPDATE ON passerelle.patient, passerelle.device, passerelle.clock_segment, '
            'passerelle.annotation, passerelle.space, passerelle.delivery, passerelle.share, passerelle.grant_, '
            'passerelle.token, passerelle.job_claim TO %I', writer);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON passerelle.daily_summary TO %I', writer);
        -- What a space erased is forgotten: a trace of what was erased would stay here.
        EXECUTE format('GRANT DELETE ON passerelle.delivery TO %I', writer);
        EXECUTE format('GRANT EXECUTE ON FUNCTION passerelle.ensure_months(text, date[]), '
            'passerelle.append_access(int4, timestamptz, int2, int2, uuid, int8, uuid, text, text, text, text, int2) TO %I',
            writer);
        -- The space: what tells tenants apart and lets gateways in. Only tokens and codes that are over are deleted.
        EXECUTE format('GRANT INSERT, UPDATE ON passerelle.tenant, passerelle.registration_code, passerelle.gateway, '
            'passerelle.tenant_patient, passerelle.observation_version TO %I', writer);
        EXECUTE format('GRANT INSERT ON passerelle.space_patient, passerelle.patient_gateway, '
            'passerelle.space_secret TO %I', writer);
        EXECUTE format('GRANT INSERT, DELETE ON passerelle.gateway_token TO %I', writer);
        EXECUTE format('GRANT DELETE ON passerelle.registration_code TO %I', writer);
        EXECUTE format('GRANT EXECUTE ON FUNCTION passerelle.gateway_of_token(bytea) TO %I', writer);
        -- Erasing leaves a receipt in the same transaction (0050): so it may be asked for, and no row deleted.
        EXECUTE format('GRANT EXECUTE ON FUNCTION '
            'passerelle.begin_erasure(int4, uuid, int2, int2, int2[], date, date, boolean, timestamptz), '
            'passerelle.erase_readings(int4, uuid, int2, timestamptz[], int4[], int2[]), '
            'passerelle.erase_around(int4, uuid, int2, timestamptz, timestamptz, timestamptz, timestamptz), '
            'passerelle.erase_person(int4, uuid, timestamptz), passerelle.erasure_told(int4, uuid, timestamptz), '
            'passerelle.erasure_given_up(int4, uuid, timestamptz), '
            'passerelle.erase_told_shares(int4), passerelle.allow_again(int4, int2), '
            'passerelle.leave_tenant(int4, uuid, timestamptz), '
            'passerelle.drop_empty_months(timestamptz) TO %I', writer);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON passerelle.retention_rule TO %I', writer);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON passerelle.person_setting, passerelle.guardian, '
            'passerelle.device_user, passerelle.question TO %I', writer);
    END IF;
    IF reader IS NOT NULL AND reader IS DISTINCT FROM writer THEN
        EXECUTE format('GRANT USAGE ON SCHEMA passerelle TO %I', reader);
        FOR called IN SELECT p.oid::regprocedure::text FROM pg_proc p
            WHERE p.pronamespace = 'passerelle'::regnamespace AND p.proname LIKE '%\_by\_token'
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', called, reader);
        END LOOP;
    END IF;
END $$;
