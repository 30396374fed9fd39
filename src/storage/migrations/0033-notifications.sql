-- What users are notified of, and up to where they have read.

-- One row an event and a user of ours whom their push rules notify of it. `thread_id` is the root of
-- the thread, or `main`. `actions` is a list as JSON, or a digit for a list that is frequent.
CREATE TABLE notifications (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  highlight BIGINT NOT NULL,
  ts BIGINT NOT NULL,
  actions TEXT NOT NULL,
  PRIMARY KEY (user_id, room_id, thread_id, stream)
) WITHOUT_ROWID;

-- Up to which position of the stream a user has read a thread of a room; with an empty `thread_id`, all
-- of the room. `changed` is the position at which that, or what is unread, changed last.
CREATE TABLE read_positions (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  position BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  PRIMARY KEY (user_id, room_id, thread_id)
) WITHOUT_ROWID;
CREATE INDEX read_positions_by_change ON read_positions (user_id, changed);
