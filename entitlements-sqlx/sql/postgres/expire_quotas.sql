-- Counters of periods that ended first, so many at once, and the memory of what they have raised. One stays while a receipt of
-- before then may still be given back, while an alert that it has raised waits, and while somebody works with it: nobody is
-- waited for, since those who lock several counters do so in another order.
WITH ended AS (
    SELECT quota.company_id, quota.meter, quota.bucket, quota.period_start
    FROM usage_quotas AS quota
    WHERE quota.period_end < $1
        AND NOT EXISTS (
            SELECT
            FROM usage_receipts AS receipt
            WHERE receipt.at < $1 AND receipt.company_id = quota.company_id
        )
        AND NOT EXISTS (
            SELECT
            FROM usage_alerts AS alert
            WHERE alert.company_id = quota.company_id AND alert.meter = quota.meter AND alert.bucket = quota.bucket
                AND alert.period_start = quota.period_start AND NOT alert.acknowledged
        )
    ORDER BY quota.period_end
    LIMIT $2
    FOR UPDATE OF quota SKIP LOCKED
), removed AS (
    DELETE FROM usage_quotas AS quota
    USING ended
    WHERE quota.company_id = ended.company_id AND quota.meter = ended.meter AND quota.bucket = ended.bucket
        AND quota.period_start = ended.period_start
    RETURNING quota.company_id, quota.meter, quota.bucket, quota.period_start
), forgotten AS (
    DELETE FROM usage_alerts AS alert
    USING removed
    WHERE alert.company_id = removed.company_id AND alert.meter = removed.meter AND alert.bucket = removed.bucket
        AND alert.period_start = removed.period_start
)
SELECT 1 FROM removed
