-- When a user wished all that they said to be forgotten: who comes into a room after that sees none of it.
ALTER TABLE accounts ADD COLUMN erased_ts BIGINT;
