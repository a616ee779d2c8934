-- A debit, as a rule: the units of one counter, which is there and has room for them, no threshold crossed, nothing expired,
-- and a key that is not known. That is one update and one row; $20 is the beginning of the receipt's split, and the rest
-- ends it. If anything is otherwise, nothing is updated, and the function does all of it. Somebody who takes the key in
-- between makes the insertion fail, and then nothing has happened.
WITH moved AS (
    UPDATE usage_quotas
    SET used = used + $6, period_end = ($13::bigint[])[1]
    WHERE company_id = $1 AND meter = ($10::text[])[1] AND bucket = ($11::text[])[1] AND period_start = ($12::bigint[])[1]
        AND CASE
            WHEN used <= coalesce(($14::bigint[])[1], 9223372036854775807) - $6
                THEN width_bucket(used, $19::bigint[]) = width_bucket(used + $6, $19::bigint[])
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
        concat($20::text, $6, ',', used, ',[]]]')::json,
        EXISTS (SELECT FROM billing_usage_meters WHERE meter = $5)
    FROM moved
)
SELECT used AS now_used, NULL AS taken, NULL AS known
FROM moved
UNION ALL
SELECT debit.now_used, debit.taken, debit.known
FROM (
    SELECT coalesce(
        CASE
            WHEN EXISTS (
                SELECT FROM usage_reservations WHERE company_id = $1 AND NOT freed AND expires_at <= $7
            ) THEN usage_free($1, $7, $10, $11, $12, $13)
        END,
        $7
    ) AS instant
    WHERE NOT EXISTS (SELECT FROM moved)
) AS freed
CROSS JOIN LATERAL usage_debit(
    $1, $2, $3, $4, $5, $6, freed.instant, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
) AS debit
