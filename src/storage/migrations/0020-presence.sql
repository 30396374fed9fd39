-- The status messages of our users. Whether they are online is known as long as the server runs.
CREATE TABLE presence_status (
  user_id TEXT NOT NULL PRIMARY KEY,
  status_msg TEXT NOT NULL
) WITHOUT_ROWID;
