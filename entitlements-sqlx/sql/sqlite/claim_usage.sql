UPDATE billing_usage_records
SET due_at = $1, attempts = attempts + 1,
    tried_at = CASE WHEN state = 'pending' THEN coalesce(tried_at, $2) ELSE tried_at END
WHERE sequence IN (
    SELECT sequence
    FROM billing_usage_records
    WHERE due_at <= $2
    ORDER BY due_at, sequence
    LIMIT $3
)
RETURNING sequence, id, company_id, receipt_id, meter, amount, at, state, attempts, tried_at, note
