-- Which threads users want to hear of. A row whose `subscribed` is 0 is a thread that was left, at its
-- place in the stream.
CREATE TABLE thread_subscriptions (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  root_id TEXT NOT NULL,
  subscribed BIGINT NOT NULL,
  automatic BIGINT NOT NULL,
  stream BIGINT NOT NULL,
  PRIMARY KEY (user_id, room_id, root_id)
) WITHOUT_ROWID;
CREATE UNIQUE INDEX thread_subscriptions_by_stream ON thread_subscriptions (user_id, stream);
CREATE INDEX thread_subscriptions_by_thread ON thread_subscriptions (room_id, root_id);
