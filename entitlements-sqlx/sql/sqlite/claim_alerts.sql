UPDATE usage_alerts
SET claimed_until = $1
WHERE sequence IN (
    SELECT sequence
    FROM usage_alerts
    WHERE acknowledged = 0 AND claimed_until <= $2
    ORDER BY claimed_until, sequence
    LIMIT $3
)
RETURNING sequence, json_array(company_id, meter, bucket, period_start, percent, threshold, used, at)
