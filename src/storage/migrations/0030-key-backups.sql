-- Backups of room keys, which clients encrypt.

-- The last version of any backup of a user: no version is used twice.
CREATE TABLE key_backup_versions (
  user_id TEXT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
) WITHOUT_ROWID;

CREATE TABLE key_backups (
  user_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  algorithm TEXT NOT NULL,
  auth_data_json TEXT NOT NULL,
  -- Grows whenever the keys change.
  etag BIGINT NOT NULL,
  -- How many keys there are.
  count BIGINT NOT NULL,
  PRIMARY KEY (user_id, version)
) WITHOUT_ROWID;

CREATE TABLE backed_up_keys (
  user_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  room_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  -- By these three it is decided which of two keys stays.
  is_verified BIGINT NOT NULL,
  first_message_index BIGINT NOT NULL,
  forwarded_count BIGINT NOT NULL,
  -- All that the client gave, these three too.
  key_json TEXT NOT NULL,
  PRIMARY KEY (user_id, version, room_id, session_id)
);
