-- When fields of profiles of our users changed last; also of those that are gone since.
CREATE TABLE profile_changes (
  user_id TEXT NOT NULL,
  field TEXT NOT NULL,
  stream BIGINT NOT NULL,
  PRIMARY KEY (user_id, field)
) WITHOUT_ROWID;
CREATE INDEX profile_changes_by_stream ON profile_changes (stream);
