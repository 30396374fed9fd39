-- When a PDU was taken in, and, for one that is not tried any more, what is wrong with it.
ALTER TABLE staged_pdus ADD COLUMN staged_ts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE staged_pdus ADD COLUMN problem TEXT;
CREATE INDEX staged_pdus_by_room ON staged_pdus (room_id, staged_nid);
