-- Devices that nobody is logged in on: they take keys for a user who has no other device, until a new
-- one takes their place. What they are is encrypted by the client.
CREATE TABLE dehydrated_devices (
  user_id TEXT NOT NULL PRIMARY KEY,
  device_id TEXT NOT NULL,
  device_data_json TEXT NOT NULL
);
