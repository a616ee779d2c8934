-- Counters of periods that are long over go, and with each the memory of what it has raised.

CREATE INDEX usage_quotas_ended ON usage_quotas (period_end) WHERE period_end IS NOT NULL;

CREATE TRIGGER usage_quotas_removed AFTER DELETE ON usage_quotas
BEGIN
    DELETE FROM usage_alerts
    WHERE company_id = OLD.company_id AND meter = OLD.meter AND bucket = OLD.bucket
        AND period_start = OLD.period_start AND acknowledged = 1;
END;
