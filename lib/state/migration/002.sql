-- Manager: where a node's last poll came from ('': none since this migration);
-- the address that it had before the last change of it, as long as the shares
-- are exported there too ('': none); since when it has not been silent; when it
-- last sent its facts (0: they are those of its join); and the last record that
-- it has received, by its polls (its status may be older, or newer).
ALTER TABLE node ADD COLUMN connects TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN former TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN heard_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN facts_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0;
