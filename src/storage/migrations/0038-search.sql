-- Which terms the events of timelines have in the text that can be searched, how often, and in which
-- of their fields: 0 `body`, 1 `name`, 2 `topic`. Redacted events have none. Written in the background,
-- up to `done_nid` of `event_index`; taken away in the commit of a redaction.
CREATE TABLE search_terms (
  room_nid BIGINT NOT NULL,
  term TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  field BIGINT NOT NULL,
  hits BIGINT NOT NULL,
  PRIMARY KEY (room_nid, term, stream, sub)
) WITHOUT_ROWID;
