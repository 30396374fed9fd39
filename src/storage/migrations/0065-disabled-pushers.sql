-- Pushers that are switched off, be it from another device, have 0.
ALTER TABLE pushers ADD COLUMN enabled BIGINT NOT NULL DEFAULT 1;
