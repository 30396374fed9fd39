-- The addresses that users have told identity servers are theirs, so that they can take that back.
CREATE TABLE bound_addresses (
  user_id TEXT NOT NULL,
  medium TEXT NOT NULL,
  address TEXT NOT NULL,
  id_server TEXT NOT NULL,
  bound_ts BIGINT NOT NULL,
  PRIMARY KEY (user_id, medium, address, id_server)
) WITHOUT_ROWID;
