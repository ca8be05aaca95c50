-- What feeding a space needs beside: how it went, how much it takes at once, and which content it was told. Columns
-- of their own statements: some engines take one change each.
ALTER TABLE passerelle.space ADD COLUMN last_told_at timestamptz;
ALTER TABLE passerelle.space ADD COLUMN problem text;       -- why the last try failed: an error's name
ALTER TABLE passerelle.space ADD COLUMN problem_words text; -- the space's own words to it
ALTER TABLE passerelle.space ADD COLUMN batch int4;         -- how many readings it took at once; null: not learned
ALTER TABLE passerelle.delivery ADD COLUMN digest int8;     -- of what it was told, 0: not sure; see docs/decisions/0032
ALTER TABLE passerelle.delivery ADD COLUMN kind int2;       -- in the identifier, by which one that was erased is found

-- What a space refused, and what it is still to erase: few among many.
CREATE INDEX delivery_open ON passerelle.delivery (patient_id, space_id) WHERE state IN (2, 9);
