-- Where in the stream the join stands of which all members became known later.
ALTER TABLE completed_rooms ADD COLUMN joined BIGINT NOT NULL DEFAULT 0;
