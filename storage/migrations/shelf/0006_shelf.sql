-- The shelf: a database of its own, that holds nothing readable. No patient is known here: a link is found by
-- the SHA-256 of the secret in its address, an uploader by that of its token, and a file is ciphertext.

CREATE TABLE shelf.uploader (
    uploader_hash bytea PRIMARY KEY,
    label         text NOT NULL,
    enrolled_at   timestamptz NOT NULL,
    revoked_at    timestamptz
);

CREATE TABLE shelf.link (
    link_hash     bytea PRIMARY KEY,
    uploader_hash bytea NOT NULL,
    flags         text NOT NULL,
    passcode_hash text,
    attempts_left int4,
    created_at    timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    expires_at    timestamptz,
    revoked_at    timestamptz,
    openings      int8 NOT NULL DEFAULT 0,
    CHECK ((passcode_hash IS NULL) = (attempts_left IS NULL)),
    CHECK (attempts_left >= 0)
);
CREATE INDEX link_of_uploader ON shelf.link (uploader_hash);

CREATE TABLE shelf.file (
    link_hash    bytea NOT NULL,
    number       int2 NOT NULL,
    content_type text NOT NULL,
    ciphertext   bytea NOT NULL,
    sealed_at    timestamptz NOT NULL,
    PRIMARY KEY (link_hash, number)
);
-- Ciphertext does not shrink.
ALTER TABLE shelf.file ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

CREATE TABLE shelf.location (
    location_hash bytea PRIMARY KEY,
    link_hash     bytea NOT NULL,
    number        int2 NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX location_expiry ON shelf.location (expires_at);

-- Numbered per link, under the lock of the link's row: a number that is visible has no smaller one to come, so
-- an uploader that asks for what follows the last number it knows misses none.
CREATE TABLE shelf.opening (
    link_hash bytea NOT NULL,
    number    int8 NOT NULL,
    opened_at timestamptz NOT NULL,
    recipient text NOT NULL,
    outcome   int2 NOT NULL,
    files     int2 NOT NULL,
    PRIMARY KEY (link_hash, number)
);
