-- Of what was taken out of the line of devices: what kind it is. Empty for a message that was refused before
-- there was this column, and for events.
ALTER TABLE outbox_quarantine ADD COLUMN kind TEXT;
