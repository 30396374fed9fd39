-- For the limit of what is kept of each destination: events apart from what is about devices, which has no
-- room, and of each room the newest first.
CREATE INDEX outbox_quarantine_by_room ON outbox_quarantine (destination, room_id, stream, sub);
