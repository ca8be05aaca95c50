-- name: add
-- One entry for a batch.
INSERT INTO passerelle.outbox (patient_id, device_id, change, first_recorded_at, last_recorded_at, readings,
    version, made_at)
VALUES (%(patient_id)s, %(device_id)s, %(change)s, %(first_recorded_at)s, %(last_recorded_at)s, %(readings)s,
    %(version)s, now())

-- name: entries_after
-- What follows an entry, in order.
SELECT entry_id, device_id, change, first_recorded_at, last_recorded_at, readings, version, made_at
FROM passerelle.outbox WHERE patient_id = %(patient_id)s AND entry_id > %(entry_id)s
ORDER BY entry_id LIMIT %(limit)s
