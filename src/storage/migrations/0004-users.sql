-- What belongs to the users of this server.

CREATE TABLE accounts (
  user_id TEXT NOT NULL PRIMARY KEY,
  -- A PHC string of argon2id; NULL if nobody can log in with a password.
  password_hash TEXT,
  guest INTEGER NOT NULL,
  admin INTEGER NOT NULL,
  created_ts BIGINT NOT NULL,
  -- The row stays, so that nobody else is ever given the name.
  deactivated_ts BIGINT
);

CREATE TABLE devices (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  display_name TEXT,
  created_ts BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id)
);

-- Access tokens, each with the refresh token it was given out with. Tokens themselves are not kept,
-- only the SHA-256 of each in hexadecimal.
CREATE TABLE tokens (
  access_hash TEXT NOT NULL PRIMARY KEY,
  refresh_hash TEXT UNIQUE,
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  -- When the access token ends; NULL for never.
  expires_ts BIGINT,
  -- The refresh token that was used to get this row, as long as that one may be used again.
  replaces TEXT
);
CREATE INDEX tokens_by_device ON tokens (user_id, device_id);
CREATE INDEX tokens_by_replaced ON tokens (replaces);

CREATE TABLE profile_fields (
  user_id TEXT NOT NULL,
  field TEXT NOT NULL,
  value_json TEXT NOT NULL,
  PRIMARY KEY (user_id, field)
);

-- Account data, tags too. `room_id` is empty for what belongs to no room.
CREATE TABLE account_data (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  type TEXT NOT NULL,
  content_json TEXT NOT NULL,
  stream BIGINT NOT NULL,
  PRIMARY KEY (user_id, room_id, type)
);
CREATE INDEX account_data_by_stream ON account_data (user_id, stream);

-- Filters of /sync. The ID is a hash of the filter, so that the same one is stored once.
CREATE TABLE filters (
  user_id TEXT NOT NULL,
  filter_id TEXT NOT NULL,
  filter_json TEXT NOT NULL,
  PRIMARY KEY (user_id, filter_id)
);

CREATE TABLE registration_tokens (
  token TEXT NOT NULL PRIMARY KEY,
  -- NULL for any number of accounts.
  uses_allowed BIGINT,
  uses BIGINT NOT NULL,
  expires_ts BIGINT
);
