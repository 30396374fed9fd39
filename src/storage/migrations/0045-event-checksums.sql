-- By which it is seen that the bytes of an event are still those that were stored. Events from before
-- have none: of them the ID is computed anew.
ALTER TABLE events ADD COLUMN checksum BIGINT;
