-- Where users are to be told of notifications when none of their clients is there.
CREATE TABLE pushers (
  user_id TEXT NOT NULL,
  app_id TEXT NOT NULL,
  pushkey TEXT NOT NULL,
  -- The device that asked for it, with which it goes.
  device_id TEXT NOT NULL,
  app_display_name TEXT NOT NULL,
  device_display_name TEXT NOT NULL,
  profile_tag TEXT,
  lang TEXT NOT NULL,
  data_json TEXT NOT NULL,
  set_ts BIGINT NOT NULL,
  -- Up to which position of the stream it is done, and how much was unread when it was told last.
  done BIGINT NOT NULL,
  badge BIGINT NOT NULL,
  PRIMARY KEY (user_id, app_id, pushkey)
) WITHOUT_ROWID;
CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);
