-- Who the readings are of, and what measured them. Every key starts with the patient's number, so that one
-- person's whole space can lie on one machine; tokens are keyed by their hash, since a token comes alone.

-- Numbers of patients. A sequence of its own, since an identity of four bytes is not distributable.
CREATE SEQUENCE passerelle.patient_number AS int4;

CREATE TABLE passerelle.patient (
    patient_id int4 PRIMARY KEY,
    uuid       uuid NOT NULL,
    name       text NOT NULL,
    label      text NOT NULL,          -- the name as it is compared: folded case, one form of each letter
    timezone   text NOT NULL,          -- the person's own, by which days are counted
    language   text,
    unit       text,
    created_at timestamptz NOT NULL
);
CREATE INDEX patient_label ON passerelle.patient (label);

-- A device as one person has it; a meter that two people share is a row for each.
CREATE TABLE passerelle.device (
    patient_id          int4 NOT NULL,
    device_id           int2 NOT NULL,  -- counted per patient
    scheme              text NOT NULL,  -- with `identity`: who the device is (DeviceIdentity)
    identity            text NOT NULL,
    manufacturer        text,
    model               text,
    serial              text,
    firmware            text,
    profile             text,
    last_sequence       int4,           -- the cursor: the next sync asks for what follows
    clock_error_seconds int4,
    battery_percent     int2,
    radio_address       text,           -- where and under which name it was last heard: never who it is
    radio_name          text,
    added_at            timestamptz NOT NULL,
    last_synced_at      timestamptz,
    forgotten_at        timestamptz,
    PRIMARY KEY (patient_id, device_id),
    UNIQUE (patient_id, scheme, identity)
);
CREATE INDEX device_identity ON passerelle.device (scheme, identity);

-- Effective time of a reading = recorded_at + shift of the segment that covers it. What a better estimate
-- replaces stays, with the moment it was replaced.
CREATE TABLE passerelle.clock_segment (
    patient_id         int4 NOT NULL,
    device_id          int2 NOT NULL,
    segment_id         int4 NOT NULL,   -- counted per device
    first_sequence     int4 NOT NULL,
    last_sequence      int4 NOT NULL,
    first_recorded_at  timestamptz NOT NULL,
    last_recorded_at   timestamptz NOT NULL,
    shift_seconds      int8,            -- null: no time can be given
    utc_offset_minutes int2 NOT NULL,
    source             int2 NOT NULL,   -- TimeSource
    placed_at          timestamptz NOT NULL,
    superseded_at      timestamptz,
    PRIMARY KEY (patient_id, device_id, segment_id)
);

-- What the person told the meter around a measurement; under the reading's key, when it comes.
CREATE TABLE passerelle.reading_context (
    recorded_at                timestamptz NOT NULL,
    patient_id                 int4 NOT NULL,
    sequence                   int4 NOT NULL,
    device_id                  int2 NOT NULL,
    ordinal                    int2 NOT NULL,
    carbohydrate               int2,
    meal                       int2,
    tester                     int2,
    health                     int2,
    exercise_intensity_percent int2,
    medication                 int2,
    exercise_seconds           int4,
    carbohydrate_kg            numeric,
    medication_value           numeric,
    medication_unit            text,
    hba1c_percent              numeric,
    raw                        bytea NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal)
);

-- What people say of a reading, never in the reading. `kind` as in storage.annotations.
CREATE TABLE passerelle.annotation (
    recorded_at   timestamptz NOT NULL,
    patient_id    int4 NOT NULL,
    sequence      int4 NOT NULL,
    device_id     int2 NOT NULL,
    ordinal       int2 NOT NULL,
    kind          int2 NOT NULL,
    annotation_id uuid NOT NULL,
    value         text,
    author        text NOT NULL,
    made_at       timestamptz NOT NULL,
    withdrawn_at  timestamptz,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal, annotation_id)
);

-- What a device sent and nobody could read: kept as received, once.
CREATE TABLE passerelle.refused_frame (
    patient_id     int4 NOT NULL,
    device_id      int2 NOT NULL,
    digest         bytea NOT NULL,      -- SHA-256 of the characteristic and the bytes
    characteristic text NOT NULL,
    raw            bytea NOT NULL,
    reason         text NOT NULL,
    received_at    timestamptz NOT NULL,
    PRIMARY KEY (patient_id, device_id, digest)
);

-- The day in the person's zone, per device: who stores a device's readings holds its row's lock, so two
-- devices of one person never write the same day's row. Sums add up over devices.
CREATE TABLE passerelle.daily_summary (
    patient_id  int4 NOT NULL,
    day         date NOT NULL,
    kind        int2 NOT NULL,
    unit        int2 NOT NULL,
    device_id   int2 NOT NULL,
    readings    int4 NOT NULL,
    below_range int4 NOT NULL,          -- LO: in very_low too, in no sum
    above_range int4 NOT NULL,          -- HI: in very_high too, in no sum
    very_low    int4 NOT NULL,
    low         int4 NOT NULL,
    target      int4 NOT NULL,
    high        int4 NOT NULL,
    very_high   int4 NOT NULL,
    numbers     int4 NOT NULL,          -- readings that have a value
    total       float8 NOT NULL,
    squares     float8 NOT NULL,
    lowest      float8,
    highest     float8,
    PRIMARY KEY (patient_id, day, kind, unit, device_id)
);
