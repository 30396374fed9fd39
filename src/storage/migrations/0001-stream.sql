-- Positions of the one stream up to `reserved` may have been given out; the next process begins
-- above. There is one row.
CREATE TABLE stream (
  id BIGINT NOT NULL PRIMARY KEY,
  reserved BIGINT NOT NULL
);
INSERT INTO stream (id, reserved) VALUES (1, 0);
