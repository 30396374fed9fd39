-- The devices of users across servers.

-- Each change of a user's devices as other servers are told of it, with the one before it. Of each
-- user only the newest are kept: who lacks older ones asks for the whole list.
CREATE TABLE device_list_updates (
  user_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  prev BIGINT,
  device_id TEXT NOT NULL,
  PRIMARY KEY (user_id, stream)
) WITHOUT_ROWID;

-- What is to be sent to other servers ahead of events, in the order of the stream: messages to
-- devices (as EDUs), and updates of the devices or the cross-signing keys of a user, which are made
-- into EDUs when they are sent.
CREATE TABLE device_outbox (
  destination TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  -- `message`, `devices` or `keys`.
  kind TEXT NOT NULL,
  user_id TEXT NOT NULL,
  edu_json TEXT,
  PRIMARY KEY (destination, stream, sub)
);
CREATE INDEX device_outbox_by_user ON device_outbox (destination, kind, user_id, stream);

-- Messages to devices that other servers have sent: one that comes again is known.
CREATE TABLE received_to_device (
  origin TEXT NOT NULL,
  message_id TEXT NOT NULL,
  received_ts BIGINT NOT NULL,
  PRIMARY KEY (origin, message_id)
) WITHOUT_ROWID;
CREATE INDEX received_to_device_by_age ON received_to_device (origin, received_ts);

-- The device lists of other servers' users who share a room with one of ours. `stream_id` is the
-- last that was seen of their server's, `seen` a JSON list of the ones before it.
CREATE TABLE remote_device_lists (
  user_id TEXT NOT NULL PRIMARY KEY,
  stream_id BIGINT NOT NULL,
  seen TEXT NOT NULL,
  -- 1 if an update was missed: the list is to be fetched again.
  stale BIGINT NOT NULL,
  master_key_json TEXT,
  self_signing_key_json TEXT
) WITHOUT_ROWID;
CREATE TABLE remote_devices (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  keys_json TEXT NOT NULL,
  display_name TEXT,
  PRIMARY KEY (user_id, device_id)
);

-- Up to where in the stream it has been looked at who came to share a room with whom.
CREATE TABLE encounters (
  id BIGINT NOT NULL PRIMARY KEY,
  looked_at BIGINT NOT NULL
);

-- In which rooms a user is, of any server.
CREATE INDEX state_keys_of_members ON state_keys (state_key) WHERE type = 'm.room.member';
