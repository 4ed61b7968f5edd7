-- What there is to say of an attempt beside how it ended: what it left running.
ALTER TABLE attempt ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- The command that a held entry runs: its process, as pid and boot tell that of
-- the iwx-queue which started it.
ALTER TABLE held ADD COLUMN child_pid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN child     TEXT    NOT NULL DEFAULT '';
