-- The numbers that a device has passed over, in the order they were found: [{"first", "last", "found_at"}].
-- Records that were made and that nobody has: a memory that was full, or somebody who deleted. Of a count that
-- went over 65 535 `last` is the smaller. Null: none.
ALTER TABLE passerelle.device ADD COLUMN gaps jsonb;
