-- Events of the timeline that relate to another event of their room, the parent, which need not be
-- here. Redacted events relate to nothing. `annotation_key` is that of an `m.annotation`.
CREATE TABLE relations (
  room_nid BIGINT NOT NULL,
  parent_id TEXT NOT NULL,
  rel_type TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  sender TEXT NOT NULL,
  origin_server_ts BIGINT NOT NULL,
  annotation_key TEXT,
  PRIMARY KEY (room_nid, parent_id, rel_type, stream, sub)
) WITHOUT_ROWID;

-- The threads of rooms, each with the place of its latest event.
CREATE TABLE threads (
  room_nid BIGINT NOT NULL,
  root_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  PRIMARY KEY (room_nid, root_id)
) WITHOUT_ROWID;
CREATE INDEX threads_by_latest ON threads (room_nid, stream, sub);

-- What was stored before there were these tables is looked through in the background, in the order of
-- `event_nid`: up to where that is done, and up to where it is to be done for relations.
CREATE TABLE event_index (
  id BIGINT NOT NULL PRIMARY KEY,
  done_nid BIGINT NOT NULL,
  relations_nid BIGINT NOT NULL
);
INSERT INTO event_index (id, done_nid, relations_nid)
  SELECT 1, 0, COALESCE(MAX(event_nid), 0) FROM events;
