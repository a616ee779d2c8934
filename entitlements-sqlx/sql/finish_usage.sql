-- Ends an attempt; $3 is the word of the outcome. What was given back meanwhile is taken back, if the provider may have it.
UPDATE billing_usage_records
SET state = CASE
        WHEN $3 = 'failed' THEN state
        WHEN refunded AND $3 = 'refused' AND CAST($6 AS BIGINT) IS NULL THEN 'canceled'
        WHEN refunded AND $3 IN ('sent', 'refused') THEN 'correcting'
        ELSE $3
    END,
    due_at = CASE
        WHEN $3 = 'failed' THEN CAST($5 AS BIGINT)
        WHEN refunded AND $3 = 'refused' AND CAST($6 AS BIGINT) IS NULL THEN NULL
        WHEN refunded AND $3 IN ('sent', 'refused') THEN 0
    END,
    tried_at = CASE WHEN $3 IN ('failed', 'refused') THEN CAST($6 AS BIGINT) ELSE tried_at END,
    note = $4
WHERE id = $1 AND attempts = $2 AND due_at IS NOT NULL
    AND state = CASE
        WHEN $3 IN ('sent', 'refused') THEN 'pending'
        WHEN $3 IN ('corrected', 'uncorrected') THEN 'correcting'
        ELSE state
    END
RETURNING id
