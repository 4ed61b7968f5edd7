-- Manager: awaited is the first record of a log that may have been lost with an
-- older state of this manager and that the node may have; 0 when nothing is
-- waited for. went_back is cluster.WentBack.
ALTER TABLE node ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN went_back TEXT NOT NULL DEFAULT '';
