-- The e-mail addresses of users, which they have shown to be theirs. One is one user's alone.
CREATE TABLE account_addresses (
  address TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  validated_ts BIGINT NOT NULL,
  added_ts BIGINT NOT NULL
) WITHOUT_ROWID;
CREATE INDEX account_addresses_by_user ON account_addresses (user_id, address);

-- Mails by which addresses are shown to be somebody's. A session is good for the one address, and the one
-- purpose, that it was made for. Of what the link in the mail holds only the SHA-256 is kept.
CREATE TABLE address_sessions (
  sid TEXT NOT NULL PRIMARY KEY,
  address TEXT NOT NULL,
  client_secret TEXT NOT NULL,
  purpose TEXT NOT NULL,
  send_attempt BIGINT NOT NULL,
  token_hash TEXT NOT NULL,
  next_link TEXT,
  -- How often a link was wrong.
  failures BIGINT NOT NULL,
  expires_ts BIGINT NOT NULL,
  validated_ts BIGINT,
  UNIQUE (address, client_secret, purpose)
);
CREATE INDEX address_sessions_by_age ON address_sessions (expires_ts);
