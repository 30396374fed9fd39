-- Rooms and servers that an administrator has shut out: a room ID, or a server name in lower case.
CREATE TABLE blocks (
  name TEXT NOT NULL PRIMARY KEY,
  reason TEXT NOT NULL,
  blocked_ts BIGINT NOT NULL
) WITHOUT_ROWID;
