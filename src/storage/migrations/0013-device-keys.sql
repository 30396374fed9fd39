-- The keys of devices of this server's users, for end-to-end encryption.

-- From where and when a device was used last, some minutes late.
ALTER TABLE devices ADD COLUMN last_seen_ip TEXT;
ALTER TABLE devices ADD COLUMN last_seen_ts BIGINT;

-- What a device is known by to others, as it was uploaded.
CREATE TABLE device_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  keys_json TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id)
) WITHOUT_ROWID;

-- Each is given to one asker only. Those that were given stay for a while, so that a repeated upload
-- does not bring them back. `place` is larger for later uploads.
CREATE TABLE one_time_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_json TEXT NOT NULL,
  place BIGINT NOT NULL,
  -- 1 if it was given to somebody.
  claimed BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm, key_id)
) WITHOUT_ROWID;
CREATE INDEX one_time_keys_by_place
  ON one_time_keys (user_id, device_id, claimed, algorithm, place);

-- What is given when no one-time key is left, as often as need be.
CREATE TABLE fallback_keys (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_json TEXT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id, algorithm)
) WITHOUT_ROWID;
