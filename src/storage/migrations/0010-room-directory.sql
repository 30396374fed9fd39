-- What each published room looks like from outside, as worked out from a version of its state; -1 if
-- that was never done. Rooms without members are not shown.
ALTER TABLE published_rooms ADD COLUMN state_version BIGINT NOT NULL DEFAULT -1;
ALTER TABLE published_rooms ADD COLUMN joined_members BIGINT NOT NULL DEFAULT 0;
ALTER TABLE published_rooms ADD COLUMN summary_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE published_rooms ADD COLUMN summarised_ts BIGINT NOT NULL DEFAULT 0;
CREATE INDEX published_rooms_by_size ON published_rooms (joined_members, room_id);
