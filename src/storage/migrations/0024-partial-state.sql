-- Rooms of whose state members were left out when we joined, until all of it is known.
CREATE TABLE partial_rooms (
  room_nid BIGINT NOT NULL PRIMARY KEY,
  -- Who gave us the room.
  resident TEXT NOT NULL,
  -- The servers in the room, as the resident said: a JSON list.
  servers TEXT NOT NULL,
  since_ts BIGINT NOT NULL,
  -- Whether nobody of ours had been in the room before.
  is_new BIGINT NOT NULL,
  -- How often the whole state was asked for in vain, and what was wrong the last time.
  tries BIGINT NOT NULL,
  problem TEXT
);
-- Their events with a place in the room, in the order in which they found it: the states of these, and
-- what was thought of them by these states, are to be computed anew.
CREATE TABLE partial_events (
  room_nid BIGINT NOT NULL,
  place BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  -- 0: its state follows from its parents. 1: it was told. 2: nobody knows it yet. 3: like 2, and the
  -- event is our own join, from which the room goes on.
  origin BIGINT NOT NULL,
  -- Whether it came as news, and not as history.
  is_live BIGINT NOT NULL,
  PRIMARY KEY (room_nid, place)
);
-- Where in the stream the whole state of such a room was known.
CREATE TABLE completed_rooms (
  room_nid BIGINT NOT NULL PRIMARY KEY,
  stream BIGINT NOT NULL
);
