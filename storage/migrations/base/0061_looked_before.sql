-- Of devices that were read before this was kept: the last sync is taken for the last look.
UPDATE passerelle.device SET clock_read_at = last_synced_at, clock_read_sequence = last_sequence,
    clock_read_error = clock_error_seconds
WHERE clock_read_at IS NULL AND last_synced_at IS NOT NULL;
