-- Cross-signing: the keys by which users vouch for their devices and for each other.

-- The public keys of this server's users, as they were uploaded.
CREATE TABLE cross_signing_keys (
  user_id TEXT NOT NULL,
  -- `master`, `self_signing` or `user_signing`.
  usage TEXT NOT NULL,
  public_key TEXT NOT NULL,
  key_json TEXT NOT NULL,
  PRIMARY KEY (user_id, usage)
) WITHOUT_ROWID;

-- What this server's users have signed since: their own devices and master key, or the master keys of
-- users of any server.
CREATE TABLE key_signatures (
  signer_id TEXT NOT NULL,
  target_id TEXT NOT NULL,
  -- The ID of a device, or a master key.
  target_key TEXT NOT NULL,
  -- By which key: `ed25519:` and its ID.
  key_id TEXT NOT NULL,
  signature TEXT NOT NULL,
  PRIMARY KEY (signer_id, target_id, target_key, key_id)
) WITHOUT_ROWID;

-- Users whose cross-signing keys changed, which nobody was told of yet.
CREATE TABLE signing_key_changes (
  user_id TEXT NOT NULL PRIMARY KEY
) WITHOUT_ROWID;

-- Keys that changed for one user alone: those that this user has signed.
CREATE TABLE own_key_views (
  user_id TEXT NOT NULL,
  target_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  PRIMARY KEY (user_id, target_id)
) WITHOUT_ROWID;
CREATE INDEX own_key_views_by_stream ON own_key_views (user_id, stream);
