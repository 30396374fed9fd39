-- What users are notified of, and up to where they have read.

-- One row an event that notifies any user of ours, or that one of them sent. `thread_id` is the root of
-- the thread, or `main`. `audience` says whom it notifies and how: `src/push/audience.ts`. `highlights`
-- is 1 if it does so with a highlight for any of them.
CREATE TABLE notified_events (
  room_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  thread_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  ts BIGINT NOT NULL,
  highlights BIGINT NOT NULL,
  audience TEXT NOT NULL,
  PRIMARY KEY (room_id, stream)
) WITHOUT_ROWID;

-- Up to which position of the stream a user has read a thread of a room; with an empty `thread_id`, all
-- of the room, and since when they are in it. `changed` is the position at which that, or what is
-- unread, changed last.
CREATE TABLE read_positions (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  position BIGINT NOT NULL,
  since BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  PRIMARY KEY (user_id, room_id, thread_id)
) WITHOUT_ROWID;
CREATE INDEX read_positions_by_change ON read_positions (user_id, changed);
