-- A debit, as a rule: the units of one counter, which is there and has room for them, no threshold crossed, nothing expired,
-- and a key that is not known. If anything is otherwise, it takes nothing and returns no row. $10 is the beginning of the
-- receipt's split, $11 to $13 the counter, $14 its limit, $15 its thresholds.
INSERT INTO usage_receipts (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
)
SELECT
    $1, $2, $3, $4, $5, $6, $7, $8, $9, quota.used + $6, $10 || $6 || ',' || (quota.used + $6) || ',[]]]'
FROM usage_quotas AS quota
WHERE quota.company_id = $1 AND quota.meter = $11 AND quota.bucket = $12 AND quota.period_start = $13
    AND quota.used <= coalesce($14, 9223372036854775807) - $6
    AND NOT EXISTS (
        SELECT 1 FROM json_each($15) AS threshold
        WHERE quota.used < threshold.value AND threshold.value <= quota.used + $6
    )
    AND NOT EXISTS (SELECT 1 FROM usage_receipts WHERE company_id = $1 AND idempotency_key = $2)
    AND NOT EXISTS (SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $7)
RETURNING used
