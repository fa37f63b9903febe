-- What the coordinator keeps: as SCHEMA in src/d1-backend.ts.
CREATE TABLE IF NOT EXISTS records (
  name TEXT PRIMARY KEY, version TEXT NOT NULL, data TEXT NOT NULL, expires_at INTEGER, wake_at INTEGER
);
CREATE INDEX IF NOT EXISTS records_to_wake ON records (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_to_sweep ON records (expires_at) WHERE expires_at IS NOT NULL;
