-- name: insert
-- Contexts under their readings' keys; one that is there stays. Those that were new are returned.
INSERT INTO passerelle.reading_context (recorded_at, patient_id, sequence, device_id, ordinal, carbohydrate, meal,
    tester, health, exercise_intensity_percent, medication, exercise_seconds, carbohydrate_kg, medication_value,
    medication_unit, hba1c_percent, raw)
SELECT timestamptz 'epoch' + at * interval '1 microsecond', %(patient_id)s, sequence, %(device_id)s, ordinal,
    carbohydrate, meal, tester, health, exercise_intensity_percent, medication, exercise_seconds, carbohydrate_kg,
    medication_value, medication_unit, hba1c_percent, raw
FROM unnest(%(recorded_at)s::int8[], %(sequence)s::int4[], %(ordinal)s::int2[], %(carbohydrate)s::int2[],
    %(meal)s::int2[], %(tester)s::int2[], %(health)s::int2[], %(exercise_intensity_percent)s::int2[],
    %(medication)s::int2[], %(exercise_seconds)s::int4[], %(carbohydrate_kg)s::numeric[],
    %(medication_value)s::numeric[], %(medication_unit)s::text[], %(hba1c_percent)s::numeric[], %(raw)s::bytea[])
    AS rows (at, sequence, ordinal, carbohydrate, meal, tester, health, exercise_intensity_percent, medication,
        exercise_seconds, carbohydrate_kg, medication_value, medication_unit, hba1c_percent, raw)
ON CONFLICT DO NOTHING
RETURNING recorded_at

-- name: ensure_months
-- The months of these quantities have their partitions.
SELECT passerelle.ensure_months(%(parent)s, %(months)s)

-- name: insert_quantities
-- The quantities after the first.
INSERT INTO passerelle.reading_quantity (recorded_at, patient_id, sequence, mantissa, device_id, ordinal, place,
    measurand, exponent, unit, absent)
SELECT timestamptz 'epoch' + at * interval '1 microsecond', %(patient_id)s, sequence, mantissa, %(device_id)s,
    ordinal, place, measurand, exponent, unit, absent
FROM unnest(%(recorded_at)s::int8[], %(sequence)s::int4[], %(ordinal)s::int2[], %(place)s::int2[],
    %(measurand)s::int2[], %(mantissa)s::int4[], %(exponent)s::int2[], %(unit)s::int2[], %(absent)s::int2[])
    AS rows (at, sequence, ordinal, place, measurand, mantissa, exponent, unit, absent)
ON CONFLICT DO NOTHING
