-- name: of_stretch
-- What a space was told of a device between two keys, as columns.
SELECT array_agg(recorded_at), array_agg(sequence), array_agg(ordinal), array_agg(state), array_agg(version),
    array_agg(coalesce(digest, 0)), array_agg(coalesce(remote_id, '')), array_agg(coalesce(etag, ''))
FROM passerelle.delivery
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND space_id = %(space_id)s
    AND recorded_at BETWEEN %(first)s AND %(last)s
    AND (recorded_at, sequence, ordinal) >= (%(first)s, %(first_sequence)s, %(first_ordinal)s)
    AND (recorded_at, sequence, ordinal) <= (%(last)s, %(last_sequence)s, %(last_ordinal)s)

-- name: hold_device
-- Nobody erases of this device until the transaction ends.
SELECT 1 FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s FOR SHARE

-- name: erasures
-- How often something of this person was erased: what was read before another erasure has to be read again.
SELECT count(*) FROM passerelle.erasure WHERE patient_id = %(patient_id)s

-- name: put
-- What became of readings at a space. One that is to be erased there stays so, and is found by its new name.
INSERT INTO passerelle.delivery AS known (recorded_at, patient_id, sequence, device_id, ordinal, state, version,
    space_id, remote_id, etag, outcome, told_at, digest, kind)
SELECT timestamptz 'epoch' + at * interval '1 microsecond', %(patient_id)s, sequence, %(device_id)s, ordinal, state,
    version, %(space_id)s, nullif(remote_id, ''), nullif(etag, ''), nullif(outcome, ''), %(now)s, digest, kind
FROM unnest(%(recorded_at)s::int8[], %(sequence)s::int4[], %(ordinal)s::int2[], %(state)s::int2[],
    %(version)s::int4[], %(remote_id)s::text[], %(etag)s::text[], %(outcome)s::text[], %(digest)s::int8[],
    %(kind)s::int2[])
    AS rows (at, sequence, ordinal, state, version, remote_id, etag, outcome, digest, kind)
ON CONFLICT (patient_id, recorded_at, sequence, device_id, ordinal, space_id) DO UPDATE SET
    state = CASE WHEN known.state = 9 THEN known.state ELSE excluded.state END, version = excluded.version,
    remote_id = coalesce(excluded.remote_id, known.remote_id), etag = coalesce(excluded.etag, known.etag),
    outcome = excluded.outcome, told_at = excluded.told_at, digest = excluded.digest, kind = excluded.kind

-- name: ask_again
-- A new connection: what the space held under the one before may be there, or not any more.
UPDATE passerelle.delivery SET state = 0
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s AND state <> 9

-- name: to_erase
-- Some of what a space is to erase.
SELECT recorded_at, sequence, device_id, ordinal, remote_id, kind FROM passerelle.delivery
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s AND state = 9
ORDER BY recorded_at, sequence, device_id, ordinal LIMIT %(limit)s

-- name: forget
-- A space holds these no longer. The times come as times: Citus takes none that is computed here.
DELETE FROM passerelle.delivery AS held
USING unnest(%(recorded_at)s::timestamptz[], %(sequence)s::int4[], %(device_id)s::int2[], %(ordinal)s::int2[])
    AS rows (at, number, device, rank)
WHERE held.patient_id = %(patient_id)s AND held.space_id = %(space_id)s AND held.state = 9
    AND held.recorded_at = rows.at AND held.sequence = rows.number AND held.device_id = rows.device
    AND held.ordinal = rows.rank

-- name: counts
-- How many readings are in which state at a space.
SELECT state, count(*) FROM passerelle.delivery WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s
GROUP BY state

-- name: refused_stretches
-- From where to where there are refused readings, by device.
SELECT device_id, min(recorded_at), max(recorded_at) FROM passerelle.delivery
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s AND state IN (2, 9) AND state = 2
GROUP BY device_id ORDER BY device_id

-- name: refusals
-- Why readings were refused, and how many.
SELECT coalesce(outcome, ''), count(*) FROM passerelle.delivery
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s AND state IN (2, 9) AND state = 2
GROUP BY outcome ORDER BY 2 DESC, 1 LIMIT %(limit)s

-- name: readings_of_stretch
-- How many readings of a device there are in a stretch.
SELECT count(*) FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s

-- name: told_of_stretch
-- How many readings of a device in a stretch a space holds or refused.
SELECT count(*) FROM passerelle.delivery
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND space_id = %(space_id)s
    AND recorded_at BETWEEN %(first)s AND %(last)s AND state NOT IN (0, 9)
