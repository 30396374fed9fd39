-- When an event says it was sent, for finding events by time. NULL in rows from before there was this
-- column, until somebody looks in their room.
ALTER TABLE events ADD COLUMN origin_server_ts BIGINT;
CREATE INDEX events_by_time ON events (room_nid, origin_server_ts, stream, sub)
  WHERE stream IS NOT NULL;

-- Positions below those of the first room, for history from before it that is found by its time.
UPDATE stream SET reserved = reserved + 1000000 WHERE id = 1;
