-- What /sync and the operations on rooms keep beside the rooms themselves.

-- The transaction IDs under which devices sent events.
CREATE TABLE transactions (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  path TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  sent_ts BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id, path, txn_id)
) WITHOUT_ROWID;
CREATE INDEX transactions_by_event ON transactions (event_id);
CREATE INDEX transactions_by_age ON transactions (sent_ts);

-- The newest receipt of each user, of each type, in each thread of a room.
CREATE TABLE receipts (
  room_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  -- `m.read` or `m.read.private`.
  receipt_type TEXT NOT NULL,
  -- Empty for a receipt that belongs to no thread.
  thread_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  ts BIGINT NOT NULL,
  stream BIGINT NOT NULL,
  PRIMARY KEY (room_id, user_id, receipt_type, thread_id)
) WITHOUT_ROWID;
CREATE INDEX receipts_by_stream ON receipts (stream);
CREATE INDEX receipts_by_room ON receipts (room_id, stream);

-- The room aliases of this server.
CREATE TABLE room_aliases (
  room_alias TEXT NOT NULL PRIMARY KEY,
  room_id TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_ts BIGINT NOT NULL
) WITHOUT_ROWID;
CREATE INDEX room_aliases_by_room ON room_aliases (room_id);

-- The rooms in the published directory of this server.
CREATE TABLE published_rooms (
  room_id TEXT NOT NULL PRIMARY KEY
) WITHOUT_ROWID;
