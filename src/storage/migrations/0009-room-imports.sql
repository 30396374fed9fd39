-- Rooms that are being imported: their events are written in several units before the room itself.
-- What a crash has left of one is removed at the next start.
CREATE TABLE room_imports (
  room_nid BIGINT NOT NULL PRIMARY KEY
);
