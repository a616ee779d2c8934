UPDATE usage_alerts
SET claimed_until = $1
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM usage_alerts
    WHERE NOT acknowledged AND claimed_until <= $2
    ORDER BY claimed_until, sequence
    LIMIT $3
    FOR UPDATE SKIP LOCKED
))
RETURNING sequence, json_build_array(company_id, meter, bucket, period_start, percent, threshold, used, at)::text
