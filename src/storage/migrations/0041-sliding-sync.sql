-- Connections of sliding sync: what each has told its client. A connection belongs to a device, which
-- may have several. `configs_json` lists what its client wanted of rooms, which rows name by number.
CREATE TABLE sliding_connections (
  connection_nid INTEGER_ID NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  conn_id TEXT NOT NULL,
  used_ts BIGINT NOT NULL,
  configs_json TEXT NOT NULL,
  UNIQUE (user_id, device_id, conn_id)
);

-- What a client knows of rooms, as of the answer with this version and until one with a higher. `up_to`
-- is a position of the stream, or NULL if it knows the room as far as all else.
CREATE TABLE sliding_rooms (
  connection_nid BIGINT NOT NULL,
  room_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  up_to BIGINT,
  config BIGINT NOT NULL,
  is_dm BIGINT NOT NULL,
  PRIMARY KEY (connection_nid, room_id, version)
) WITHOUT_ROWID;
