-- What each event costs to write is mostly the pages that it changes, and an index by a random ID changes
-- one of its own for each event. So there is one by the ID of an event, which serves those who know its
-- room and those who do not, and what a device sent is found by where it stands.
CREATE TABLE leaner_events (
  event_nid INTEGER_ID NOT NULL PRIMARY KEY,
  room_nid BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  status BIGINT NOT NULL,
  stream BIGINT,
  sub BIGINT,
  depth BIGINT NOT NULL,
  state_before BIGINT,
  state_after BIGINT,
  number BIGINT,
  state_key_nid BIGINT,
  auth_numbers BYTES,
  membership BIGINT NOT NULL,
  origin_server_ts BIGINT,
  redacted_by TEXT,
  checksum BIGINT,
  bytes BYTES NOT NULL
);
INSERT INTO leaner_events (event_nid, room_nid, event_id, status, stream, sub, depth, state_before,
  state_after, number, state_key_nid, auth_numbers, membership, origin_server_ts, redacted_by, checksum,
  bytes)
SELECT event_nid, room_nid, event_id, status, stream, sub, depth, state_before, state_after, number,
  state_key_nid, auth_numbers, membership, origin_server_ts, redacted_by, checksum, bytes
FROM events ORDER BY event_nid;
DROP TABLE events;
ALTER TABLE leaner_events RENAME TO events;
CREATE UNIQUE INDEX events_by_id ON events (event_id, room_nid);
CREATE INDEX events_by_place ON events (room_nid, stream, sub);
CREATE INDEX events_by_number ON events (room_nid, number) WHERE number IS NOT NULL;
CREATE INDEX events_by_time ON events (room_nid, origin_server_ts, stream, sub)
  WHERE stream IS NOT NULL;

-- Where the event stands that was sent; NULL of what is to be sent later.
ALTER TABLE transactions ADD COLUMN stream BIGINT;
UPDATE transactions SET stream = (
  SELECT MIN(events.stream) FROM events WHERE events.event_id = transactions.event_id
);
DROP INDEX transactions_by_event;
CREATE INDEX transactions_by_place ON transactions (stream) WHERE stream IS NOT NULL;
