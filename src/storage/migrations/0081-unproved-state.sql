-- Events that are part of a room's state as others gave it, and could not be proved then: whose keys could
-- not be had, or which lean on what nobody gave. `told` is larger for those of a state that was told later; of
-- some it is known where in the state they stand. See `rooms/unproved-state.ts`.
CREATE TABLE unproved_state (
  room_nid BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  told BIGINT NOT NULL,
  type TEXT,
  state_key TEXT,
  PRIMARY KEY (room_nid, event_id)
) WITHOUT_ROWID;
