-- Receipts lie with their patients.
SELECT create_distributed_table('passerelle.erased_record', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.erasure', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.erasure_at_space', 'patient_id', colocate_with => 'passerelle.patient');
