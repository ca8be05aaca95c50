-- A household: who belongs to it, who acts for whom, what each has chosen, and whose a value is where two could have
-- measured it. See docs/decisions/0060.

-- What a person has chosen beyond language, unit and zone. The targets are those that a doctor gave, as they were
-- written (in `unit`, mg/dL or mmol/L); null: none was given.
CREATE TABLE passerelle.person_setting (
    patient_id  int4 PRIMARY KEY,
    relation    text,                   -- what they are to whom keeps this home: child, partner, …
    situation   text,                   -- whose goals of the consensus are theirs: standard, older, …
    unit        text,
    low         numeric,                -- the range
    high        numeric,
    before_low  numeric,                -- before meals
    before_high numeric,
    after_high  numeric                 -- after meals
);

-- Who acts for a person: a guardian, who is a person of this home too. One that ended stays, as a trace.
CREATE TABLE passerelle.guardian (
    patient_id    int4 NOT NULL,        -- for whom
    guardian_uuid uuid NOT NULL,        -- who acts
    since         timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (patient_id, guardian_uuid, since)
);

-- Who measures with a device besides its keeper, under whose number it stands: whose a reading is, is asked then.
CREATE TABLE passerelle.device_user (
    patient_id int4 NOT NULL,
    device_id  int2 NOT NULL,
    user_uuid  uuid NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (patient_id, device_id, user_uuid)
);

-- A row for every reading of a shared device that was looked at: what has none is new. `state` as in
-- storage.questions. Whose the reading is, an annotation says.
CREATE TABLE passerelle.question (
    recorded_at timestamptz NOT NULL,
    patient_id  int4 NOT NULL,
    sequence    int4 NOT NULL,
    device_id   int2 NOT NULL,
    ordinal     int2 NOT NULL,
    state       int2 NOT NULL,
    asked_at    timestamptz,
    answered_at timestamptz,
    answered_by text,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal)
);
