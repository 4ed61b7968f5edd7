-- The reloads of each program of this server that a reload was ever requested for.
-- Requests are numbered from 1.
ALTER TABLE reload RENAME TO former_reload;
CREATE TABLE reload (
    kind      TEXT    NOT NULL, -- of program: 'web'
    name      TEXT    NOT NULL, -- of a web server, as in site.Order
    requested INTEGER NOT NULL, -- the last request
    urgent    INTEGER NOT NULL, -- 1: a request after tried does not wait for the interval
    tried     INTEGER NOT NULL, -- the last request at the last try
    loaded    INTEGER NOT NULL, -- the last request at the last try that succeeded
    last      INTEGER NOT NULL, -- when the last try was; 0: never
    error     TEXT    NOT NULL, -- of that try; '': it succeeded
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO reload (kind, name, requested, urgent, tried, loaded, last, error)
SELECT 'web', server, 1, 0, owed = 0, owed = 0, last, '' FROM former_reload;
DROP TABLE former_reload;
