-- The tables of sharing, with their patients; tokens by their hash, since a token comes without its patient.
SELECT create_distributed_table('passerelle.outbox', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.space', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.delivery', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.share', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.grant_', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.access_log', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.job_claim', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.token', 'token_hash', colocate_with => 'none');
