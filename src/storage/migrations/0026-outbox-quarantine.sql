-- What a server refuses to take, taken out of line so that the rest is not held up: events, and
-- messages to devices. Administrators see it, send it again or drop it; what a server merely stumbled
-- over goes back into line by itself at `retry_ts`.
CREATE TABLE outbox_quarantine (
  destination TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  -- The event's ID; empty for a message.
  event_id TEXT NOT NULL,
  -- The event's room; empty for a message.
  room_id TEXT NOT NULL,
  -- Of a message: who sends it, and the EDU.
  user_id TEXT,
  edu_json TEXT,
  reason TEXT NOT NULL,
  refused_ts BIGINT NOT NULL,
  -- How often it was refused.
  refusals BIGINT NOT NULL,
  retry_ts BIGINT,
  PRIMARY KEY (destination, stream, sub, event_id)
) WITHOUT_ROWID;
CREATE INDEX outbox_quarantine_due ON outbox_quarantine (retry_ts);
INSERT INTO outbox_quarantine (destination, stream, sub, event_id, room_id, reason, refused_ts, refusals)
  SELECT destination, stream, 0, event_id, room_id, reason, refused_ts, 1 FROM outbox_refused;
DROP TABLE outbox_refused;
-- How often what is in line was refused before.
ALTER TABLE outbox ADD COLUMN refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device_outbox ADD COLUMN refusals BIGINT NOT NULL DEFAULT 0;
