-- Until when an alert is somebody's who sends it: of the processes that look for alerts, one sends each. What nobody has claimed
-- is free since before every instant.

ALTER TABLE usage_alerts ADD COLUMN claimed_until BIGINT NOT NULL DEFAULT -9223372036854775807;

CREATE INDEX usage_alerts_free ON usage_alerts (claimed_until, sequence) WHERE NOT acknowledged;
