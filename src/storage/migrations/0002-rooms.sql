-- Rooms, their events and their states.

-- What is in `extremities` is a JSON list of event IDs: the forward extremities. `current_state` is
-- the version of the state that they resolve to.
CREATE TABLE rooms (
  room_nid INTEGER_ID NOT NULL PRIMARY KEY,
  room_id TEXT NOT NULL UNIQUE,
  version TEXT NOT NULL,
  extremities TEXT NOT NULL,
  current_state BIGINT NOT NULL
);

-- One narrow row an event. `bytes` is its canonical JSON, of a redacted event that of what is left.
-- `status` is 0 accepted, 1 soft-failed, 2 rejected, 3 outlier. Only what clients can see in the
-- timeline has a place (stream, sub). State events have a number in their room, in an order in which
-- auth events come before what they authorise; `auth_numbers` are the numbers of those, 32 bits each.
CREATE TABLE events (
  event_nid INTEGER_ID NOT NULL PRIMARY KEY,
  room_nid BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  status BIGINT NOT NULL,
  stream BIGINT,
  sub BIGINT,
  depth BIGINT NOT NULL,
  state_before BIGINT,
  state_after BIGINT,
  number BIGINT,
  state_key_nid BIGINT,
  auth_numbers BYTES,
  -- Of member events: 1 join, 2 invite, 3 knock, 4 leave, 5 ban; else 0.
  membership BIGINT NOT NULL,
  redacted_by TEXT,
  bytes BYTES NOT NULL,
  UNIQUE (room_nid, event_id)
);
CREATE INDEX events_by_place ON events (room_nid, stream, sub);
CREATE INDEX events_by_number ON events (room_nid, number);

-- Why an event was rejected or soft-failed: the rule that decided.
CREATE TABLE verdicts (
  room_nid BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  rule TEXT NOT NULL,
  PRIMARY KEY (room_nid, event_id)
) WITHOUT_ROWID;

-- The places in a room's states, numbered in each room.
CREATE TABLE state_keys (
  room_nid BIGINT NOT NULL,
  state_key_nid BIGINT NOT NULL,
  type TEXT NOT NULL,
  state_key TEXT NOT NULL,
  PRIMARY KEY (room_nid, state_key_nid)
);

-- The states of a room, each as its difference from a parent, or whole where there is none. `pairs`
-- is (state key, event number) in 32 bits each, sorted; -1 as event takes a key away. `log_size` is
-- the number of pairs since the last whole one.
CREATE TABLE state_versions (
  room_nid BIGINT NOT NULL,
  version BIGINT NOT NULL,
  parent BIGINT,
  log_size BIGINT NOT NULL,
  pairs BYTES NOT NULL,
  PRIMARY KEY (room_nid, version)
);

-- Which version was the room's current state from which position of the stream on.
CREATE TABLE current_states (
  room_nid BIGINT NOT NULL,
  stream BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (room_nid, stream)
);

-- Events that we do not have, as parents of events at these places of the timeline.
CREATE TABLE missing_parents (
  room_nid BIGINT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  PRIMARY KEY (room_nid, stream, sub, event_id)
);
CREATE INDEX missing_parents_by_event ON missing_parents (room_nid, event_id);

-- Redactions whose event we do not have.
CREATE TABLE waiting_redactions (
  room_nid BIGINT NOT NULL,
  redacts TEXT NOT NULL,
  event_id TEXT NOT NULL,
  PRIMARY KEY (room_nid, redacts, event_id)
);

-- What local users have to do with rooms, also with those this server is not in.
CREATE TABLE local_memberships (
  user_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  membership TEXT NOT NULL,
  event_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  stream BIGINT NOT NULL,
  forgotten BIGINT NOT NULL,
  stripped_state TEXT NOT NULL,
  PRIMARY KEY (user_id, room_id)
);
CREATE INDEX local_memberships_by_room ON local_memberships (room_id, membership);

-- PDUs that were acknowledged to their sender and are still to be worked on, and the transactions
-- in which they came, with our answer.
CREATE TABLE staged_pdus (
  staged_nid INTEGER_ID NOT NULL PRIMARY KEY,
  room_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  tries BIGINT NOT NULL,
  bytes BYTES NOT NULL
);
CREATE TABLE received_transactions (
  origin TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  received_ts BIGINT NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (origin, txn_id)
);
CREATE INDEX received_transactions_by_age ON received_transactions (received_ts);
-- For `/event`, which names no room.
CREATE INDEX events_by_id ON events (event_id);
