-- When the store was put back from a backup. Positions of the stream up to `base` are from before that: of
-- those that others hold, some may name what is not in the store. With a `base` of 0 it is yet to be done:
-- this is a copy, on which no server has run.
CREATE TABLE restorations (
  base BIGINT NOT NULL PRIMARY KEY,
  ts BIGINT NOT NULL
);
