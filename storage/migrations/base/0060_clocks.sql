-- Whether a device's clock may be set (null: only told of), and since when it is asked for.
ALTER TABLE passerelle.device ADD COLUMN clock_policy int2;
ALTER TABLE passerelle.device ADD COLUMN clock_set_asked_at timestamptz;

-- The last time that everything of a device was read: when, up to which number, and how far its clock was ahead
-- (null: it could not be read). What came later was written after that moment, and this says so.
ALTER TABLE passerelle.device ADD COLUMN clock_read_at timestamptz;
ALTER TABLE passerelle.device ADD COLUMN clock_read_sequence int4;
ALTER TABLE passerelle.device ADD COLUMN clock_read_error int4;

-- Who said when these records were; null where nobody did and it was worked out.
ALTER TABLE passerelle.clock_segment ADD COLUMN said_by text;
