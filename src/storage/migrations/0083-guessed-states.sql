-- Events the state before which nobody told while their room was known in part, and those that follow no
-- others: what is kept as that state is a guess. See `rooms/guessed-states.ts`.
CREATE TABLE guessed_states (
  room_nid BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  PRIMARY KEY (room_nid, event_id)
) WITHOUT_ROWID;
