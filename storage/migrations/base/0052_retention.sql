-- How long a person keeps which kind of readings: what is older is erased, with a receipt, once a day.
CREATE TABLE passerelle.retention_rule (
    patient_id int4 NOT NULL,
    kind       int2 NOT NULL,
    days       int4 NOT NULL CHECK (days > 0),
    made_at    timestamptz NOT NULL,
    PRIMARY KEY (patient_id, kind)
);
