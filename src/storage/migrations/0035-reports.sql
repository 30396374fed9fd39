-- What users have reported to the administrators: an event, a room or a user.
CREATE TABLE reports (
  report_nid AUTO_ID,
  reporter TEXT NOT NULL,
  room_id TEXT,
  event_id TEXT,
  user_id TEXT,
  reason TEXT NOT NULL,
  reported_ts BIGINT NOT NULL
);
CREATE INDEX reports_by_reporter ON reports (reporter, reported_ts);
