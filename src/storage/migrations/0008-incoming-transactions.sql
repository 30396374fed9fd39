-- The newest transactions of each server with what they were answered: one that is sent again, since
-- our answer got lost, is answered the same without being worked on again.
CREATE TABLE incoming_transactions (
  origin TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  received_ts BIGINT NOT NULL,
  answer_json TEXT NOT NULL,
  PRIMARY KEY (origin, txn_id)
) WITHOUT_ROWID;
