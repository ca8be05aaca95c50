-- name: lock_patient
-- Devices of a patient are numbered one at a time.
SELECT 1 FROM passerelle.patient WHERE patient_id = %(patient_id)s FOR UPDATE

-- name: renew
-- A known device: what it says of itself now, where it says something.
UPDATE passerelle.device SET
    manufacturer = coalesce(%(manufacturer)s, manufacturer),
    model = coalesce(%(model)s, model),
    serial = coalesce(%(serial)s, serial),
    firmware = coalesce(%(firmware)s, firmware),
    profile = coalesce(%(profile)s, profile),
    forgotten_at = NULL
WHERE patient_id = %(patient_id)s AND scheme = %(scheme)s AND identity = %(identity)s
RETURNING *

-- name: insert
-- A new device gets the patient's next number.
INSERT INTO passerelle.device AS added (patient_id, device_id, scheme, identity, manufacturer, model, serial, firmware,
    profile, added_at)
SELECT %(patient_id)s, coalesce(max(device_id), 0) + 1, %(scheme)s, %(identity)s, %(manufacturer)s, %(model)s,
    %(serial)s, %(firmware)s, %(profile)s, now()
FROM passerelle.device WHERE patient_id = %(patient_id)s
RETURNING *

-- name: of_patient
-- A patient's devices.
SELECT * FROM passerelle.device
WHERE patient_id = %(patient_id)s AND (%(forgotten)s OR forgotten_at IS NULL) ORDER BY device_id

-- name: on_the_air
-- Everybody's devices that a radio of this machine has heard.
SELECT * FROM passerelle.device WHERE radio_address IS NOT NULL AND forgotten_at IS NULL
ORDER BY patient_id, device_id

-- name: by_token
-- The devices of the patient of a token.
SELECT * FROM passerelle.devices_by_token(%(token)s)

-- name: by_identity
-- The rows of one device, of whichever patients.
SELECT * FROM passerelle.device
WHERE scheme = %(scheme)s AND identity = %(identity)s AND forgotten_at IS NULL ORDER BY patient_id

-- name: get
-- One device.
SELECT * FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: battery
-- The battery's last known state.
UPDATE passerelle.device SET battery_percent = %(percent)s
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: allow_setting
-- Whether the clock may be set, and whether it is asked for.
UPDATE passerelle.device SET clock_policy = %(policy)s,
    clock_set_asked_at = CASE WHEN %(asked)s THEN coalesce(clock_set_asked_at, %(now)s) END
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: clock_was_set
-- The clock was set and read back.
UPDATE passerelle.device SET clock_error_seconds = %(error_seconds)s, clock_set_asked_at = NULL
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: passed_over
-- Numbers that were found missing, after those that were found before.
UPDATE passerelle.device SET gaps = coalesce(gaps, '[]'::jsonb) || %(gaps)s::jsonb
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: records_of_number
-- What is stored under a number of a device.
SELECT raw FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND sequence = %(number)s

-- name: heard
-- Where and under which name a device was heard.
UPDATE passerelle.device SET radio_address = %(address)s, radio_name = coalesce(%(name)s, radio_name)
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
RETURNING *

-- name: forget
-- A device leaves the list; its readings refer to it still.
UPDATE passerelle.device SET forgotten_at = least(forgotten_at, now())
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
RETURNING *
