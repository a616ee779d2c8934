-- Counters of periods that ended first, so many at once. One stays while a receipt of before then may still be given back, and
-- while an alert that it has raised waits.
DELETE FROM usage_quotas
WHERE (company_id, meter, bucket, period_start) IN (
    SELECT company_id, meter, bucket, period_start
    FROM usage_quotas AS quota
    WHERE period_end < $1
        AND NOT EXISTS (
            SELECT 1
            FROM usage_receipts AS receipt
            WHERE receipt.at < $1 AND receipt.company_id = quota.company_id
        )
        AND NOT EXISTS (
            SELECT 1
            FROM usage_alerts AS alert
            WHERE alert.company_id = quota.company_id AND alert.meter = quota.meter AND alert.bucket = quota.bucket
                AND alert.period_start = quota.period_start AND alert.acknowledged = 0
        )
    ORDER BY period_end
    LIMIT $2
)
RETURNING 1
