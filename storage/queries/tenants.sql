-- name: lock_label
-- Who makes a tenant of a name makes it alone; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('tenant ' || %(label)s, 0))

-- name: labelled
-- The tenant of a name.
SELECT tenant_id, name, most_patients, most_readings, patients, made_at FROM passerelle.tenant
WHERE label = %(label)s ORDER BY made_at LIMIT 1

-- name: list_all
-- All tenants by name.
SELECT tenant_id, name, most_patients, most_readings, patients, made_at FROM passerelle.tenant ORDER BY label

-- name: insert
-- A new tenant.
INSERT INTO passerelle.tenant (tenant_id, name, label, most_patients, most_readings, made_at)
VALUES (%(tenant_id)s, %(name)s, %(label)s, %(most_patients)s, %(most_readings)s, %(now)s)

-- name: add_code
-- A code by which one gateway registers.
INSERT INTO passerelle.registration_code (code_hash, tenant_id, patient_uuid, made_at, ends_at)
VALUES (%(code_hash)s, %(tenant_id)s, %(patient)s, %(now)s, %(ends_at)s)

-- name: use_code
-- A code is used: once, and while it holds. Two who use it at once wait for one another here.
UPDATE passerelle.registration_code SET used_at = %(now)s
WHERE code_hash = %(code_hash)s AND used_at IS NULL AND ends_at > %(now)s
RETURNING tenant_id, patient_uuid

-- name: one_more_patient
-- Counts a patient, if there is room.
UPDATE passerelle.tenant SET patients = patients + 1
WHERE tenant_id = %(tenant_id)s AND (most_patients IS NULL OR patients < most_patients)
RETURNING patients

-- name: patient
-- The patient that a UUID is in a tenant.
SELECT patient_id FROM passerelle.space_patient WHERE uuid = %(uuid)s AND tenant_id = %(tenant_id)s

-- name: claim_patient
-- A UUID is this patient in this tenant from now on; who claims it at the same moment waits, and gets no row.
INSERT INTO passerelle.space_patient (uuid, tenant_id, patient_id)
VALUES (%(uuid)s, %(tenant_id)s, %(patient_id)s)
ON CONFLICT (uuid, tenant_id) DO NOTHING
RETURNING patient_id

-- name: keep_patient
-- A patient is in a tenant.
INSERT INTO passerelle.tenant_patient (patient_id, tenant_id) VALUES (%(patient_id)s, %(tenant_id)s)

-- name: insert_patient
-- A new patient, under a number that was drawn.
INSERT INTO passerelle.patient (patient_id, uuid, name, label, timezone, created_at)
VALUES (%(patient_id)s, %(uuid)s, %(name)s, %(label)s, %(timezone)s, now())

-- name: link
-- A gateway feeds a patient.
INSERT INTO passerelle.patient_gateway (patient_id, gateway_id, linked_at) VALUES (%(patient_id)s, %(gateway_id)s, now())
ON CONFLICT (patient_id, gateway_id) DO NOTHING

-- name: linked
-- A patient that a gateway feeds: the person's UUID and zone, and how many readings came.
SELECT p.patient_id, p.uuid, p.timezone, t.readings FROM passerelle.patient_gateway g
JOIN passerelle.tenant_patient t ON t.patient_id = g.patient_id
JOIN passerelle.patient p ON p.patient_id = g.patient_id
WHERE g.patient_id = %(patient_id)s AND g.gateway_id = %(gateway_id)s AND t.tenant_id = %(tenant_id)s

-- name: most_readings
-- How many readings a patient of a tenant may have.
SELECT most_readings FROM passerelle.tenant WHERE tenant_id = %(tenant_id)s

-- name: count_readings
-- So many more readings came of a patient.
UPDATE passerelle.tenant_patient SET readings = readings + %(more)s WHERE patient_id = %(patient_id)s
RETURNING readings

-- name: secret
-- The secret under which this space makes its FHIR ids.
SELECT secret FROM passerelle.space_secret WHERE one = 1

-- name: keep_secret
-- The first one that is kept stays.
INSERT INTO passerelle.space_secret (one, secret) VALUES (1, %(secret)s) ON CONFLICT (one) DO NOTHING
