-- Counters of periods that are long over go.

CREATE INDEX usage_quotas_ended ON usage_quotas (period_end) WHERE period_end IS NOT NULL;
