-- A debit, as a rule: the units of one counter, which is there and has room for them, no threshold crossed, nothing expired,
-- and a key that is not known. That is one update and one row; $17 is the receipt's split up to the units used afterwards. If
-- anything is otherwise, nothing is updated, and the function does all of it. Somebody who takes the key in between makes the
-- insertion fail, and then nothing has happened.
WITH moved AS (
    UPDATE usage_quotas
    SET used = used + $6
    WHERE company_id = $1 AND meter = $10 AND bucket = $11 AND period_start = $12
        AND period_end IS NOT DISTINCT FROM $13
        AND CASE
            WHEN used <= coalesce($14, 9223372036854775807) - $6
                THEN width_bucket(used, $16::bigint[]) = width_bucket(used + $6, $16::bigint[])
        END
        AND NOT EXISTS (SELECT FROM usage_receipts WHERE company_id = $1 AND idempotency_key = $2)
        AND NOT EXISTS (SELECT FROM usage_reservations WHERE company_id = $1 AND NOT freed AND expires_at <= $7)
    RETURNING used
), receipt AS (
    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split,
        may_be_billed
    )
    SELECT
        $1, $2, $3, $4, $5, $6, $7, $8, $9, used,
        ($17::text || used || ',[]]]')::json,
        EXISTS (SELECT FROM billing_usage_meters WHERE meter = $5)
    FROM moved
    RETURNING used
)
SELECT
    used,
    CASE
        WHEN used IS NULL
            THEN usage_debit_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    END AS otherwise
-- Found once, before anything looks at it.
FROM (SELECT (SELECT used FROM receipt) AS used OFFSET 0) AS made
