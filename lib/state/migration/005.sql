-- Manager: how often the zones have changed, that is one of the tables zone and
-- adopted_zone, the names of the sites, or whether a site is being deleted. One row,
-- which the triggers keep, whoever writes.
CREATE TABLE zones_revision (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO zones_revision (id, revision) VALUES (1, 1);

CREATE TRIGGER zone_added AFTER INSERT ON zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER zone_changed AFTER UPDATE ON zone WHEN old.name <> new.name OR old.zone <> new.zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER zone_deleted AFTER DELETE ON zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;

CREATE TRIGGER adopted_zone_added AFTER INSERT ON adopted_zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER adopted_zone_changed AFTER UPDATE ON adopted_zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER adopted_zone_deleted AFTER DELETE ON adopted_zone
BEGIN UPDATE zones_revision SET revision = revision + 1; END;

CREATE TRIGGER site_name_added AFTER INSERT ON site_name
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER site_name_changed AFTER UPDATE ON site_name
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
CREATE TRIGGER site_name_deleted AFTER DELETE ON site_name
BEGIN UPDATE zones_revision SET revision = revision + 1; END;

CREATE TRIGGER site_gone AFTER UPDATE OF spec ON site
WHEN coalesce(json_extract(old.spec, '$.gone'), 0) <> coalesce(json_extract(new.spec, '$.gone'), 0)
BEGIN UPDATE zones_revision SET revision = revision + 1; END;
