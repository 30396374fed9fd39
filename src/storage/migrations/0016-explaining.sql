-- Of soft-failed events: the version of the room's state that was current when they were judged.
ALTER TABLE verdicts ADD COLUMN current_state BIGINT;

-- To say of one event why it waits.
CREATE INDEX staged_pdus_by_event ON staged_pdus (event_id);
