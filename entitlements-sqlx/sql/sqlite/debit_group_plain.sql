-- Several debits of one counter, as a rule: all of them fit, and nothing is special about them, as with one. $2 lists them as
-- JSON: key, receipt, user, units, instant, and the units up to each; $7 is the last of these instants, $6 the units of all.
-- It returns the units used after each, in any order, or no row.
INSERT INTO usage_receipts (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
)
SELECT
    $1, event.value ->> 0, event.value ->> 1, event.value ->> 2, $5, event.value ->> 3, event.value ->> 4, $3, $4,
    quota.used + (event.value ->> 5),
    $8 || (event.value ->> 3) || ',' || (quota.used + (event.value ->> 5)) || ',[]]]'
FROM usage_quotas AS quota, json_each($2) AS event
WHERE quota.company_id = $1 AND quota.meter = $9 AND quota.bucket = $10 AND quota.period_start = $11
    AND quota.used <= coalesce($12, 9223372036854775807) - $6
    AND NOT EXISTS (
        SELECT 1 FROM json_each($13) AS threshold
        WHERE quota.used < threshold.value AND threshold.value <= quota.used + $6
    )
    AND NOT EXISTS (
        SELECT 1 FROM json_each($2) AS other
        CROSS JOIN usage_receipts AS receipt
            ON receipt.company_id = $1 AND receipt.idempotency_key = other.value ->> 0
    )
    AND NOT EXISTS (SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $7)
RETURNING used
