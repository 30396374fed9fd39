-- Events that other servers took and could not use, as they said in their answers: the newest of each.
CREATE TABLE refused_events (
  destination TEXT NOT NULL,
  event_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  -- What the server said.
  error TEXT NOT NULL,
  refused_ts BIGINT NOT NULL,
  PRIMARY KEY (destination, event_id)
);
CREATE INDEX refused_events_by_time ON refused_events (destination, refused_ts);
CREATE INDEX refused_events_by_event ON refused_events (event_id);
CREATE INDEX refused_events_by_room ON refused_events (room_id);
