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
