-- Messages from device to device.

-- What waits for a device of ours, until its client has said that it has it.
CREATE TABLE to_device_messages (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sender TEXT NOT NULL,
  type TEXT NOT NULL,
  content_json TEXT NOT NULL,
  PRIMARY KEY (user_id, device_id, stream)
);

-- The transaction IDs under which devices sent messages: a repeated request sends nothing.
CREATE TABLE to_device_sends (
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  type TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  sent_ts BIGINT NOT NULL,
  PRIMARY KEY (user_id, device_id, type, txn_id)
) WITHOUT_ROWID;
CREATE INDEX to_device_sends_by_age ON to_device_sends (sent_ts);
