-- Tokens by which users show others who they are: the SHA-256 of each in hexadecimal.
CREATE TABLE openid_tokens (
  token_hash TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  expires_ts BIGINT NOT NULL
) WITHOUT_ROWID;
CREATE INDEX openid_tokens_by_end ON openid_tokens (expires_ts);
