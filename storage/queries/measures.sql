-- name: outbox_waiting
-- Entries that a connected space has not been told, over all spaces: how many, and since when.
SELECT count(*), min(o.made_at)
FROM passerelle.space s
JOIN passerelle.outbox o ON o.patient_id = s.patient_id AND o.entry_id > s.told_entry_id
WHERE s.disconnected_at IS NULL
