-- What leaves the space and who may look: the outbox, shares, grants, tokens, the access log, and claims of jobs.

-- What a space is to be told, in order. One row for a whole batch: the keys it covers are those of its device
-- within its range of `recorded_at`; what a space has already is in `delivery`.
CREATE TABLE passerelle.outbox (
    patient_id        int4 NOT NULL,
    entry_id          int8 GENERATED ALWAYS AS IDENTITY,
    device_id         int2 NOT NULL,
    change            int2 NOT NULL,    -- as in storage.outbox
    first_recorded_at timestamptz NOT NULL,
    last_recorded_at  timestamptz NOT NULL,
    readings          int4 NOT NULL,
    version           int4 NOT NULL,    -- of the rules by which entries are told
    made_at           timestamptz NOT NULL,
    PRIMARY KEY (patient_id, entry_id)
);

-- A space that this person feeds, and how far it has been told.
CREATE TABLE passerelle.space (
    patient_id      int4 NOT NULL,
    space_id        uuid NOT NULL,
    url             text NOT NULL,
    dialect         text NOT NULL,
    sealed_secret   bytea,
    told_entry_id   int8 NOT NULL DEFAULT 0,
    not_before      timestamptz,
    attempts        int4 NOT NULL DEFAULT 0,
    connected_at    timestamptz NOT NULL,
    disconnected_at timestamptz,
    PRIMARY KEY (patient_id, space_id)
);

-- What a space holds of a reading: which version, under which name of its own.
CREATE TABLE passerelle.delivery (
    recorded_at timestamptz NOT NULL,
    patient_id  int4 NOT NULL,
    sequence    int4 NOT NULL,
    device_id   int2 NOT NULL,
    ordinal     int2 NOT NULL,
    state       int2 NOT NULL,
    version     int4 NOT NULL,
    space_id    uuid NOT NULL,
    remote_id   text,
    etag        text,
    outcome     text,                   -- why the space refused it, in its words
    told_at     timestamptz NOT NULL,
    PRIMARY KEY (patient_id, recorded_at, sequence, device_id, ordinal, space_id)
);

-- A sealed link, on the gateway's side. The link's id and key lie here encrypted under the home's key.
CREATE TABLE passerelle.share (
    patient_id         int4 NOT NULL,
    share_id           uuid NOT NULL,
    link_hash          bytea NOT NULL,
    sealed_secret      bytea NOT NULL,
    shelf_url          text NOT NULL,
    label              text,
    kinds              int2[],          -- null: every kind
    period_start       timestamptz,
    period_end         timestamptz,
    live               boolean NOT NULL,
    expires_at         timestamptz,
    has_passcode       boolean NOT NULL,
    created_at         timestamptz NOT NULL,
    uploaded_at        timestamptz,
    data_until         timestamptz,
    revoked_at         timestamptz,
    revocation_told_at timestamptz,
    stale              boolean NOT NULL,
    openings_cursor    int8 NOT NULL DEFAULT 0,
    PRIMARY KEY (patient_id, share_id)
);
CREATE INDEX share_by_id ON passerelle.share (share_id);

-- A grant: who may read which kinds of which period, until when.
CREATE TABLE passerelle.grant_ (
    patient_id   int4 NOT NULL,
    grant_id     uuid NOT NULL,
    grantee      text NOT NULL,
    organisation text,
    purpose      text NOT NULL,
    kinds        int2[],
    period_start timestamptz,
    period_end   timestamptz,
    ends_at      timestamptz NOT NULL,
    made_at      timestamptz NOT NULL,
    revoked_at   timestamptz,
    PRIMARY KEY (patient_id, grant_id)
);

-- A session of the person (no grant), or what a grant was handed out as. Only the hash of the token is known.
CREATE TABLE passerelle.token (
    token_hash bytea PRIMARY KEY,
    patient_id int4 NOT NULL,
    grant_id   uuid,
    made_at    timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Who looked, at what, when, and whether they saw it. Append-only: each entry's `chain` is the SHA-256 of the
-- one before it and of its own `digest`; a digest is salted, so that an entry can be erased and its digest kept.
CREATE TABLE passerelle.access_log (
    patient_id   int4 NOT NULL,
    entry_id     int8 NOT NULL,         -- counted per patient
    at           timestamptz NOT NULL,
    way          int2 NOT NULL,         -- as in storage.access_log
    outcome      int2 NOT NULL,
    share_id     uuid,
    opening      int8,                  -- the shelf's number of an opening
    grant_id     uuid,
    who          text,
    organisation text,
    purpose      text,
    what         text,
    files        int2,                  -- how many files a link's opening carried
    salt         bytea,
    digest       bytea NOT NULL,
    chain        bytea NOT NULL,
    PRIMARY KEY (patient_id, entry_id)
);
CREATE UNIQUE INDEX access_log_opening ON passerelle.access_log (patient_id, share_id, opening);

-- A job that may run once at a time, wherever; patient 0 for jobs of the house.
CREATE TABLE passerelle.job_claim (
    patient_id    int4 NOT NULL,
    job           text NOT NULL,
    claimed_by    text NOT NULL,
    claimed_until timestamptz NOT NULL,
    done_at       timestamptz,
    PRIMARY KEY (patient_id, job)
);

-- Appends to a person's access log under the lock of the person's row. An opening that is there already is
-- passed over (null).
CREATE FUNCTION passerelle.append_access(
    patient int4, at timestamptz, way int2, outcome int2, share uuid, opening int8, grantid uuid,
    who text, organisation text, purpose text, what text, files int2
) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    entry int8;
    before bytea;
    salt bytea := uuid_send(gen_random_uuid());
    digest bytea;
BEGIN
    PERFORM 1 FROM passerelle.patient p WHERE p.patient_id = append_access.patient FOR UPDATE;
    IF append_access.opening IS NOT NULL THEN
        PERFORM 1 FROM passerelle.access_log l WHERE l.patient_id = append_access.patient
            AND l.share_id = append_access.share AND l.opening = append_access.opening;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    SELECT l.entry_id, l.chain INTO entry, before FROM passerelle.access_log l
        WHERE l.patient_id = append_access.patient ORDER BY l.entry_id DESC LIMIT 1;
    entry := coalesce(entry, 0) + 1;
    digest := sha256(salt || convert_to(jsonb_build_array(entry, extract(epoch FROM append_access.at),
        append_access.way, append_access.outcome, append_access.share, append_access.opening,
        append_access.grantid, append_access.who, append_access.organisation, append_access.purpose,
        append_access.what, append_access.files)::text, 'UTF8'));
    INSERT INTO passerelle.access_log VALUES (append_access.patient, entry, append_access.at,
        append_access.way, append_access.outcome, append_access.share, append_access.opening,
        append_access.grantid, append_access.who, append_access.organisation, append_access.purpose,
        append_access.what, append_access.files, salt, digest, sha256(coalesce(before, ''::bytea) || digest));
    RETURN entry;
END $$;
