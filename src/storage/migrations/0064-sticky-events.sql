-- Events that clients and servers are told of for some time, however much is said after them. `stream`
-- is from where clients are told; NULL for what was soft-failed, which is judged again.
CREATE TABLE sticky_events (
  room_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  stream BIGINT,
  expires_ts BIGINT NOT NULL,
  PRIMARY KEY (room_id, event_id)
) WITHOUT_ROWID;
CREATE INDEX sticky_events_by_room ON sticky_events (room_id, stream);
CREATE INDEX sticky_events_by_time ON sticky_events (expires_ts);
ALTER TABLE delayed_events ADD COLUMN sticky_ms BIGINT;
