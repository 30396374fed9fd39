-- Who has other devices or keys than before.

-- Of users of any server: the position at which their keys changed last.
CREATE TABLE device_lists (
  user_id TEXT NOT NULL PRIMARY KEY,
  stream BIGINT NOT NULL
) WITHOUT_ROWID;
CREATE INDEX device_lists_by_stream ON device_lists (stream);

-- Changes of this server's devices which nobody was told of yet. Written in the commit that makes the
-- change, so that a crash in between loses nothing.
CREATE TABLE device_changes (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  -- 1 if the device has, or had, keys.
  has_keys BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id)
) WITHOUT_ROWID;
