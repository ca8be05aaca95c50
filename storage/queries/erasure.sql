-- name: begin
-- Opens a receipt, and holds the rows of the person and of the devices.
SELECT passerelle.begin_erasure(%(patient_id)s, %(erasure_id)s, %(reason)s::int2, %(device_id)s::int2, %(kinds)s::int2[],
    %(first_day)s::date, %(last_day)s::date, %(everything)s, %(now)s)

-- name: erase_readings
-- The readings under some keys of a device, all of a device, or all of a person.
SELECT passerelle.erase_readings(%(patient_id)s, %(erasure_id)s, %(device_id)s::int2, %(recorded_at)s::timestamptz[],
    %(sequence)s::int4[], %(ordinal)s::int2[])

-- name: erase_around
-- What was left around erased readings of a device.
SELECT passerelle.erase_around(%(patient_id)s, %(erasure_id)s, %(device_id)s::int2, %(first)s, %(last)s,
    %(frames_from)s, %(frames_until)s)

-- name: erase_person
-- What else is a person's.
SELECT passerelle.erase_person(%(patient_id)s, %(erasure_id)s, %(now)s)

-- name: leave_tenant
-- What else knows a person who goes, at a space that gateways feed.
SELECT passerelle.leave_tenant(%(patient_id)s, %(erasure_id)s, %(now)s)

-- name: fewer_readings
-- So many readings less count against what the tenant may have of a person, where there is one.
UPDATE passerelle.tenant_patient SET readings = greatest(readings - %(readings)s, 0) WHERE patient_id = %(patient_id)s

-- name: told
-- A space confirmed.
SELECT passerelle.erasure_told(%(patient_id)s, %(space_id)s, %(now)s)

-- name: given_up
-- A space that will never confirm: the receipts say that it was not told.
SELECT passerelle.erasure_given_up(%(patient_id)s, %(space_id)s, %(now)s)

-- name: forget_told_shares
-- Shares of which nothing is left, and whose shelf knows that they ended.
SELECT passerelle.erase_told_shares(%(patient_id)s)

-- name: allow_again
-- What was erased of a device may come again.
SELECT passerelle.allow_again(%(patient_id)s, %(device_id)s::int2)

-- name: keys
-- The keys and kinds of a device's readings in a stretch of time, as columns.
SELECT array_agg(recorded_at), array_agg(sequence), array_agg(ordinal), array_agg(kind)
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s
  AND (%(kinds)s::int2[] IS NULL OR kind = ANY (%(kinds)s::int2[]))

-- name: undated
-- The segments in force that give no time, and were found before a moment.
SELECT device_id, first_sequence, last_sequence, first_recorded_at, last_recorded_at, shift_seconds,
    utc_offset_minutes, source
FROM passerelle.clock_segment
WHERE patient_id = %(patient_id)s AND superseded_at IS NULL AND shift_seconds IS NULL AND placed_at < %(before)s

-- name: count_of_device
-- How many readings a device has.
SELECT count(*) FROM passerelle.reading WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: spaces
-- Which spaces hold readings of a person, and whether they can be told.
SELECT DISTINCT s.url, s.disconnected_at IS NULL AS told FROM passerelle.space s
WHERE s.patient_id = %(patient_id)s AND EXISTS (
    SELECT 1 FROM passerelle.delivery d WHERE d.patient_id = %(patient_id)s AND d.patient_id = s.patient_id
    AND d.space_id = s.space_id)
ORDER BY s.url, told

-- name: reseal_shares
-- Every share that is open is sealed again, without what was erased; one that is not live too.
UPDATE passerelle.share SET stale = true
WHERE patient_id = %(patient_id)s AND revoked_at IS NULL AND NOT stale

-- name: receipt
-- One receipt.
SELECT patient_id, erasure_id, reason, device_id, kinds, first_day, last_day, everything, erased_at, readings,
    quantities, contexts, annotations, refused_frames, clock_segments, outbox_entries, shares, grants, tokens,
    log_entries, log_until, log_head, digest
FROM passerelle.erasure WHERE patient_id = %(patient_id)s AND erasure_id = %(erasure_id)s

-- name: receipts_of_patient
-- A patient's receipts, the oldest first.
SELECT patient_id, erasure_id, reason, device_id, kinds, first_day, last_day, everything, erased_at, readings,
    quantities, contexts, annotations, refused_frames, clock_segments, outbox_entries, shares, grants, tokens,
    log_entries, log_until, log_head, digest
FROM passerelle.erasure WHERE patient_id = %(patient_id)s ORDER BY erased_at, erasure_id

-- name: receipts
-- Everybody's receipts, of those too who are not here any more.
SELECT patient_id, erasure_id, reason, device_id, kinds, first_day, last_day, everything, erased_at, readings,
    quantities, contexts, annotations, refused_frames, clock_segments, outbox_entries, shares, grants, tokens,
    log_entries, log_until, log_head, digest
FROM passerelle.erasure ORDER BY erased_at, erasure_id

-- name: at_spaces
-- The spaces that an erasure reaches, and which of them confirmed.
SELECT space_id, url, readings, told_at, not_told FROM passerelle.erasure_at_space
WHERE patient_id = %(patient_id)s AND erasure_id = %(erasure_id)s ORDER BY url, space_id

-- name: patience
-- How long a sweep may wait for who works.
SET lock_timeout = '10s'

-- name: no_patience
-- As it was.
RESET lock_timeout

-- name: forget_months
-- Months that nobody has a reading in, with all that the planner remembers of them.
SELECT passerelle.forget_months()

-- name: forget_columns
-- What the planner remembers of tables that are empty.
SELECT passerelle.forget_columns()

-- name: sweep_catalogue
-- What the planner remembered before; the owner of a database may write its catalogue anew.
VACUUM (FULL) pg_catalog.pg_statistic

-- name: sweep_months
-- The months of readings. What the planner remembers of them is for each month alone (`forget_columns`): of the whole
-- it would stay when all months are gone.
VACUUM (FULL) passerelle.reading, passerelle.reading_quantity

-- name: sweep
-- Writes the tables anew, so that no page keeps what was erased; for a home's own server.
VACUUM (FULL, ANALYZE) passerelle.reading_context,
    passerelle.annotation, passerelle.refused_frame, passerelle.daily_summary, passerelle.clock_segment,
    passerelle.outbox, passerelle.delivery, passerelle.share, passerelle.grant_, passerelle.token,
    passerelle.access_log, passerelle.patient, passerelle.device, passerelle.space, passerelle.space_patient,
    passerelle.tenant_patient, passerelle.patient_gateway, passerelle.observation_version, passerelle.erased_record,
    passerelle.retention_rule, passerelle.registration_code, passerelle.gateway, passerelle.person_setting,
    passerelle.guardian, passerelle.device_user, passerelle.question
