-- name: drop
-- The days of a device that are computed again.
DELETE FROM passerelle.daily_summary
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND day BETWEEN %(first)s AND %(last)s

-- name: insert
-- Days, as columns.
INSERT INTO passerelle.daily_summary (patient_id, day, kind, unit, device_id, readings, below_range, above_range,
    very_low, low, target, high, very_high, numbers, total, squares, lowest, highest)
SELECT %(patient_id)s, date '1970-01-01' + day::int4, kind, unit, %(device_id)s, readings, below_range, above_range,
    very_low, low, target, high, very_high, numbers, total, squares, nullif(lowest, 'NaN'), nullif(highest, 'NaN')
FROM unnest(%(day)s::int8[], %(kind)s::int2[], %(unit)s::int2[], %(readings)s::int8[], %(below_range)s::int8[],
    %(above_range)s::int8[], %(very_low)s::int8[], %(low)s::int8[], %(target)s::int8[], %(high)s::int8[],
    %(very_high)s::int8[], %(numbers)s::int8[], %(total)s::float8[], %(squares)s::float8[],
    %(lowest)s::float8[], %(highest)s::float8[])
    AS days (day, kind, unit, readings, below_range, above_range, very_low, low, target, high, very_high, numbers,
        total, squares, lowest, highest)

-- name: days
-- A patient's days.
SELECT day, kind, unit, device_id, readings, below_range, above_range, very_low, low, target, high, very_high,
    numbers, total, squares, lowest, highest
FROM passerelle.daily_summary
WHERE patient_id = %(patient_id)s AND day BETWEEN %(first)s AND %(last)s
ORDER BY day, kind, unit, device_id

-- name: by_token
-- The days that a token lets through.
SELECT day, kind, unit, device_id, readings, below_range, above_range, very_low, low, target, high, very_high,
    numbers, total, squares, lowest, highest
FROM passerelle.days_by_token(%(token)s, %(first)s, %(last)s)
ORDER BY day, kind, unit, device_id

-- name: cohort
-- Many patients over some days, one line for each patient, kind and unit, as columns of one length.
SELECT array_agg(patient_id), array_agg(kind), array_agg(unit), array_agg(readings),
    array_agg(below_range), array_agg(above_range), array_agg(very_low), array_agg(low), array_agg(target),
    array_agg(high), array_agg(very_high), array_agg(numbers), array_agg(total), array_agg(squares),
    array_agg(coalesce(lowest, 'NaN')), array_agg(coalesce(highest, 'NaN'))
FROM (
    SELECT patient_id, kind, unit, sum(readings) AS readings,
        sum(below_range) AS below_range, sum(above_range) AS above_range, sum(very_low) AS very_low, sum(low) AS low,
        sum(target) AS target, sum(high) AS high, sum(very_high) AS very_high, sum(numbers) AS numbers,
        sum(total) AS total, sum(squares) AS squares, min(lowest) AS lowest, max(highest) AS highest
    FROM passerelle.daily_summary
    WHERE patient_id = ANY (%(patient_ids)s) AND day BETWEEN %(first)s AND %(last)s
    GROUP BY patient_id, kind, unit
) AS summed
