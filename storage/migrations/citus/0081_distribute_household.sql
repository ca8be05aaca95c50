-- The household's tables lie with their people.
SELECT create_distributed_table('passerelle.person_setting', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.guardian', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.device_user', 'patient_id', colocate_with => 'passerelle.patient');
SELECT create_distributed_table('passerelle.question', 'patient_id', colocate_with => 'passerelle.patient');
