-- Several debits of one counter, as a rule: all of them fit, and nothing is special about them, as with one. $2 lists them as
-- JSON: key, receipt, user, units, instant, and the units up to each; $7 is the last of these instants, $6 the units of all,
-- $14 the end of the counter's period. It returns the units used before, or no row. A key that is known makes it fail, and
-- then nothing has happened.
INSERT INTO usage_plain_grouping (
    company_id, meter, quota_limit, resets_at, debits, beginning, counter, bucket, period_start, used, taken
)
SELECT $1, $5, $3, $4, $2, $8, quota.meter, quota.bucket, quota.period_start, quota.used, $6
FROM usage_quotas AS quota
WHERE quota.company_id = $1 AND quota.meter = $9 AND quota.bucket = $10 AND quota.period_start = $11
    AND quota.period_end IS $14
    AND quota.used <= coalesce($12, 9223372036854775807) - $6
    AND NOT EXISTS (
        SELECT 1 FROM json_each($13) AS threshold
        WHERE quota.used < threshold.value AND threshold.value <= quota.used + $6
    )
    AND NOT EXISTS (SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $7)
RETURNING used
