-- The space: whose gateways may feed it. Tenants are apart: the same person in two tenants is two patients. Of
-- codes, secrets and tokens only hashes lie here.

CREATE TABLE passerelle.tenant (
    tenant_id     uuid PRIMARY KEY,
    name          text NOT NULL,
    label         text NOT NULL,         -- the name as it is compared
    most_patients int4,                  -- null: no bound
    most_readings int8,                  -- of each patient; null: no bound
    patients      int4 NOT NULL DEFAULT 0,
    made_at       timestamptz NOT NULL
);
CREATE INDEX tenant_label ON passerelle.tenant (label);

-- What an operator hands out, once: by it a gateway registers. `patient_uuid`: for this person only.
CREATE TABLE passerelle.registration_code (
    code_hash    bytea PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    patient_uuid uuid,
    made_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    used_at      timestamptz
);

-- A gateway that registered. `patient_uuid`: it may feed this person, whoever else does, and nobody else.
CREATE TABLE passerelle.gateway (
    gateway_id    uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    patient_uuid  uuid,
    secret_hash   bytea NOT NULL,
    name          text NOT NULL,
    software      text NOT NULL,
    registered_at timestamptz NOT NULL,
    revoked_at    timestamptz
);

-- Access tokens of gateways.
CREATE TABLE passerelle.gateway_token (
    token_hash bytea PRIMARY KEY,
    gateway_id uuid NOT NULL,
    ends_at    timestamptz NOT NULL
);
CREATE INDEX gateway_token_end ON passerelle.gateway_token (ends_at);

-- Which patient a UUID is, within a tenant. Found by the UUID, as it comes.
CREATE TABLE passerelle.space_patient (
    uuid       uuid NOT NULL,
    tenant_id  uuid NOT NULL,
    patient_id int4 NOT NULL,
    PRIMARY KEY (uuid, tenant_id)
);

-- What the space keeps of a patient beside the readings: whose tenant they are in, how many readings came.
CREATE TABLE passerelle.tenant_patient (
    patient_id int4 PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    readings   int8 NOT NULL DEFAULT 0
);

-- Which gateways feed a patient.
CREATE TABLE passerelle.patient_gateway (
    patient_id int4 NOT NULL,
    gateway_id uuid NOT NULL,
    linked_at  timestamptz NOT NULL,
    PRIMARY KEY (patient_id, gateway_id)
);

-- The version of a reading as an Observation, once it is above 1.
CREATE TABLE passerelle.observation_version (
    recorded_at timestamptz NOT NULL,
    patient_id  int4 NOT NULL,
    sequence    int4 NOT NULL,
    device_id   int2 NOT NULL,
    ordinal     int2 NOT NULL,
    version     int4 NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal)
);

-- The secret under which this space makes its FHIR ids: all its processes, on whichever machine, make the same.
CREATE TABLE passerelle.space_secret (
    one    int2 PRIMARY KEY CHECK (one = 1),
    secret bytea NOT NULL
);

-- Who holds a token. Statements that find a token and those that find a gateway are apart: on many machines they
-- are on different ones.
CREATE FUNCTION passerelle.gateway_of_token(token bytea)
RETURNS TABLE (gateway_id uuid, tenant_id uuid, patient_uuid uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE bearer uuid;
BEGIN
    SELECT t.gateway_id INTO bearer FROM passerelle.gateway_token t
        WHERE t.token_hash = gateway_of_token.token AND t.ends_at > now();
    RETURN QUERY SELECT g.gateway_id, g.tenant_id, g.patient_uuid FROM passerelle.gateway g
        WHERE g.gateway_id = bearer AND g.revoked_at IS NULL;
END $$;
