-- name: grant
-- Whose readings a grant opens, and their devices; no row for a session, and for a token that opens nothing.
SELECT patient_id, uuid, name, timezone, grant_id, kinds, period_start, period_end,
    (SELECT json_agg(json_build_array(device_id, scheme, identity, manufacturer, model, serial, firmware, profile))
     FROM passerelle.devices_by_token(%(token)s))
FROM passerelle.grant_by_token(%(token)s)

-- name: page
-- A page of what a token lets through, in parts that each lie in one clock segment.
SELECT extract(epoch FROM shift)::int8, utc_offset_minutes, source, beside, recorded_at, numbers, marks, codes
FROM passerelle.page_by_token(%(token)s, %(kinds)s::int2[], %(cases)s::int4[], %(devices)s::int2[], %(first)s,
    %(until)s, %(after_at)s, %(after_recorded_at)s, %(after_sequence)s::int4, %(after_device)s::int2,
    %(after_ordinal)s::int2, %(count)s::int4, %(backwards)s)

-- name: untimed
-- The same of readings without a time.
SELECT NULL::int8, utc_offset_minutes, source, beside, recorded_at, numbers, marks, codes
FROM passerelle.untimed_by_token(%(token)s, %(kinds)s::int2[], %(cases)s::int4[], %(devices)s::int2[],
    %(after_recorded_at)s, %(after_sequence)s::int4, %(after_device)s::int2, %(after_ordinal)s::int2, %(count)s::int4)

-- name: versions
-- The versions above 1 in a stretch of `recorded_at`.
SELECT recorded_at, sequence, device_id, ordinal, version
FROM passerelle.versions_by_token(%(token)s, %(first)s, %(last)s)
