-- The space's tables: what is a patient's with the patient, all else by what it is found by.
SELECT create_distributed_table('passerelle.tenant_patient', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.patient_gateway', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.observation_version', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.space_patient', 'uuid', colocate_with => 'none');
SELECT create_distributed_table('passerelle.tenant', 'tenant_id', colocate_with => 'none');
SELECT create_distributed_table('passerelle.registration_code', 'code_hash', colocate_with => 'none');
SELECT create_distributed_table('passerelle.gateway', 'gateway_id', colocate_with => 'none');
SELECT create_distributed_table('passerelle.gateway_token', 'token_hash', colocate_with => 'none');
SELECT create_distributed_table('passerelle.space_secret', 'one', colocate_with => 'none');
