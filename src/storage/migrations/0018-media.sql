-- Media of our users. The content is a file named by its hash; until it is uploaded there is none.
CREATE TABLE local_media (
  media_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  created_ts BIGINT NOT NULL,
  -- When an ID without content is forgotten.
  unused_expires_ts BIGINT,
  sha256 TEXT,
  bytes BIGINT,
  content_type TEXT,
  file_name TEXT
);
CREATE INDEX local_media_by_content ON local_media (sha256);
CREATE INDEX local_media_unused ON local_media (user_id, unused_expires_ts);

-- Media of other servers that were fetched.
CREATE TABLE remote_media (
  server_name TEXT NOT NULL,
  media_id TEXT NOT NULL,
  used_ts BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  content_type TEXT NOT NULL,
  file_name TEXT,
  PRIMARY KEY (server_name, media_id)
);
CREATE INDEX remote_media_by_content ON remote_media (sha256);
CREATE INDEX remote_media_by_use ON remote_media (used_ts);

-- Thumbnails that were made, by the content they were made of.
CREATE TABLE thumbnails (
  original_sha256 TEXT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  method TEXT NOT NULL,
  animated BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  content_type TEXT NOT NULL,
  PRIMARY KEY (original_sha256, width, height, method, animated)
);
CREATE INDEX thumbnails_by_content ON thumbnails (sha256);

-- Files that may be there though nothing above names them: about to be named, or to be removed.
CREATE TABLE loose_media_files (
  sha256 TEXT PRIMARY KEY
);
