-- The user directory: who is joined to which room, and under which name and picture they are shown
-- there. Users of this server have the same everywhere, with `room_nid` 0; in rooms theirs are empty.
CREATE TABLE directory_members (
  room_nid BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  avatar_url TEXT NOT NULL,
  PRIMARY KEY (room_nid, user_id)
) WITHOUT_ROWID;
CREATE INDEX directory_members_by_user ON directory_members (user_id, room_nid);

-- The rooms that the directory knows, up to where in the stream, and whether all may find their members.
CREATE TABLE directory_rooms (
  room_nid BIGINT NOT NULL PRIMARY KEY,
  stream BIGINT NOT NULL,
  is_public BIGINT NOT NULL
);

-- By which terms a user is found under each of their names; those of the user ID have an empty one.
CREATE TABLE directory_terms (
  term TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (term, user_id, name)
) WITHOUT_ROWID;
CREATE INDEX directory_terms_by_user ON directory_terms (user_id, name);

-- Up to where in the stream all rooms are known, and up to which account all users of this server;
-- NULL for all of them.
CREATE TABLE directory_progress (
  id BIGINT NOT NULL PRIMARY KEY,
  stream BIGINT NOT NULL,
  accounts TEXT
);
INSERT INTO directory_progress (id, stream, accounts) VALUES (1, 0, '');
