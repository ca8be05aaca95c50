-- name: enrol
-- Registers an uploader by the hash of its token; again is harmless.
INSERT INTO shelf.uploader (uploader_hash, label, enrolled_at)
VALUES (%(uploader_hash)s, %(label)s, %(now)s)
ON CONFLICT (uploader_hash) DO NOTHING

-- name: uploader
-- The uploader of a token, unless it was turned away.
SELECT uploader_hash, label, enrolled_at FROM shelf.uploader
WHERE uploader_hash = %(uploader_hash)s AND revoked_at IS NULL

-- name: turn_away
-- An uploader's token stops working; its links stay what they are.
UPDATE shelf.uploader SET revoked_at = %(now)s
WHERE uploader_hash = %(uploader_hash)s AND revoked_at IS NULL
RETURNING uploader_hash

-- name: create_link
-- A new link; the same one again by the same uploader changes nothing and is answered again.
INSERT INTO shelf.link (link_hash, uploader_hash, flags, passcode_hash, attempts_left, created_at, changed_at, expires_at)
VALUES (%(link_hash)s, %(uploader_hash)s, %(flags)s, %(passcode_hash)s, %(attempts)s, %(now)s, %(now)s, %(expires_at)s)
ON CONFLICT (link_hash) DO NOTHING

-- name: own_link
-- An uploader's own link, alive or not, locked against a change at the same moment.
SELECT link_hash, flags, passcode_hash, attempts_left, created_at, changed_at, expires_at, revoked_at
FROM shelf.link WHERE link_hash = %(link_hash)s AND uploader_hash = %(uploader_hash)s FOR UPDATE

-- name: active_link
-- A link that can be opened now.
SELECT link_hash, flags, passcode_hash, attempts_left, created_at, changed_at, expires_at, revoked_at
FROM shelf.link
WHERE link_hash = %(link_hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)

-- name: set_expiry
-- Moves the end of a link.
UPDATE shelf.link SET expires_at = %(expires_at)s, changed_at = %(now)s
WHERE link_hash = %(link_hash)s AND uploader_hash = %(uploader_hash)s AND revoked_at IS NULL
RETURNING link_hash

-- name: revoke_link
-- Ends a link at once.
UPDATE shelf.link SET revoked_at = coalesce(revoked_at, %(now)s), changed_at = %(now)s
WHERE link_hash = %(link_hash)s AND uploader_hash = %(uploader_hash)s
RETURNING link_hash

-- name: drop_files
-- The sealed files of a link go.
DELETE FROM shelf.file WHERE link_hash = %(link_hash)s

-- name: put_file
-- One sealed file of a link.
INSERT INTO shelf.file (link_hash, number, content_type, ciphertext, sealed_at)
VALUES (%(link_hash)s, %(number)s, %(content_type)s, %(ciphertext)s, %(now)s)

-- name: touch_link
-- The link's content changed.
UPDATE shelf.link SET changed_at = %(now)s WHERE link_hash = %(link_hash)s

-- name: files
-- The sealed files of a link, in order.
SELECT number, content_type, ciphertext, sealed_at FROM shelf.file
WHERE link_hash = %(link_hash)s ORDER BY number

-- name: debit_attempt
-- Takes one attempt before the passcode is looked at: parallel guesses cannot share one.
UPDATE shelf.link SET attempts_left = attempts_left - 1
WHERE link_hash = %(link_hash)s AND attempts_left > 0
  AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
RETURNING passcode_hash, attempts_left

-- name: refund_attempt
-- The passcode was right: the attempt was none.
UPDATE shelf.link SET attempts_left = attempts_left + 1
WHERE link_hash = %(link_hash)s AND passcode_hash IS NOT NULL

-- name: create_location
-- An address for one file, for a while.
INSERT INTO shelf.location (location_hash, link_hash, number, expires_at)
VALUES (%(location_hash)s, %(link_hash)s, %(number)s, %(expires_at)s)

-- name: file_at
-- The file at an address, while both the address and its link are alive.
SELECT file.number, file.content_type, file.ciphertext, file.sealed_at
FROM shelf.location
JOIN shelf.link ON link.link_hash = location.link_hash
JOIN shelf.file ON file.link_hash = location.link_hash AND file.number = location.number
WHERE location.location_hash = %(location_hash)s AND location.expires_at > %(now)s
  AND link.revoked_at IS NULL AND (link.expires_at IS NULL OR link.expires_at > %(now)s)

-- name: record_opening
-- Numbers and keeps an opening, good or refused, of a link that exists.
WITH numbered AS (
    UPDATE shelf.link SET openings = openings + 1 WHERE link_hash = %(link_hash)s RETURNING openings
)
INSERT INTO shelf.opening (link_hash, number, opened_at, recipient, outcome, files)
SELECT %(link_hash)s, openings, %(now)s, %(recipient)s, %(outcome)s, %(files)s FROM numbered
RETURNING number

-- name: openings_after
-- The openings of an uploader's own link that follow a number it knows.
SELECT opening.number, opening.opened_at, opening.recipient, opening.outcome, opening.files
FROM shelf.opening JOIN shelf.link ON link.link_hash = opening.link_hash
WHERE link.link_hash = %(link_hash)s AND link.uploader_hash = %(uploader_hash)s AND opening.number > %(cursor)s
ORDER BY opening.number LIMIT %(limit)s

-- name: sweep_locations
-- Addresses that are over.
DELETE FROM shelf.location WHERE expires_at <= %(now)s RETURNING location_hash

-- name: sweep_files
-- The files of links that are over: ciphertext that nobody can ask for has no reason to stay.
DELETE FROM shelf.file USING shelf.link
WHERE link.link_hash = file.link_hash AND (link.revoked_at IS NOT NULL OR link.expires_at <= %(now)s)
RETURNING file.number
