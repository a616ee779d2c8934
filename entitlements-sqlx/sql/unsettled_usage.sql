-- The sum in two halves of 32 bits, so that it cannot overflow.
SELECT
    meter, state, count(*), CAST(sum(amount >> 32) AS BIGINT), CAST(sum(amount & 4294967295) AS BIGINT), min(at)
FROM billing_usage_records
WHERE state IN ('pending', 'correcting', 'refused', 'uncorrected')
GROUP BY meter, state
ORDER BY meter, state
