-- What federation keeps: what is to be sent, how other servers do, and their keys.

-- One row for each event and each server that is still to be sent it. Written in the commit that
-- stores the event, deleted once that server has answered 200.
CREATE TABLE outbox (
  destination TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sub BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  PRIMARY KEY (destination, stream, sub, event_id)
) WITHOUT_ROWID;

-- Events which a server refused to take with a 4xx, however they were sent: kept to be looked at.
CREATE TABLE outbox_refused (
  destination TEXT NOT NULL,
  event_id TEXT NOT NULL,
  room_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  reason TEXT NOT NULL,
  refused_ts BIGINT NOT NULL,
  PRIMARY KEY (destination, event_id)
) WITHOUT_ROWID;

-- Ephemeral data units that must survive a restart. A newer one with the same key replaces it.
CREATE TABLE edu_outbox (
  destination TEXT NOT NULL,
  edu_key TEXT NOT NULL,
  place BIGINT NOT NULL,
  edu_json TEXT NOT NULL,
  PRIMARY KEY (destination, edu_key)
);

-- Servers that did not answer when we last tried.
CREATE TABLE destinations (
  destination TEXT NOT NULL PRIMARY KEY,
  failing_since_ts BIGINT NOT NULL,
  retry_at_ts BIGINT NOT NULL,
  retry_interval_ms BIGINT NOT NULL,
  reason TEXT NOT NULL
);

-- Every key of another server we have seen: a permanent archive, since old events need old keys.
CREATE TABLE server_keys (
  server_name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_base64 TEXT NOT NULL,
  -- Until when the key is good for events and requests; for an old key, when it expired.
  valid_until_ts BIGINT NOT NULL,
  -- 1 if the server said that it uses the key no longer.
  expired BIGINT NOT NULL,
  -- When the key was last seen, and from whom: its own server or a notary.
  fetched_ts BIGINT NOT NULL,
  fetched_from TEXT NOT NULL,
  -- The newest answer of the server with this key, as signed by it: what we give as a notary.
  response_json TEXT NOT NULL,
  PRIMARY KEY (server_name, key_id)
);
