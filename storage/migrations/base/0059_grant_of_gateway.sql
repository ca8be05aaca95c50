-- Which gateway made a grant; null where the space's own home did, and for those made before this was kept.
ALTER TABLE passerelle.grant_ ADD COLUMN gateway_id uuid;
