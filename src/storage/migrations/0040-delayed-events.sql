-- Events that are to be sent later unless something comes between. `state_key` is NULL for those that
-- are no state.
CREATE TABLE delayed_events (
  delay_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  type TEXT NOT NULL,
  state_key TEXT,
  content_json TEXT NOT NULL,
  delay_ms BIGINT NOT NULL,
  running_since_ts BIGINT NOT NULL,
  send_ts BIGINT NOT NULL
) WITHOUT_ROWID;
CREATE INDEX delayed_events_by_time ON delayed_events (send_ts);
CREATE INDEX delayed_events_by_user ON delayed_events (user_id, running_since_ts);
CREATE INDEX delayed_events_by_place ON delayed_events (room_id, type, state_key);
