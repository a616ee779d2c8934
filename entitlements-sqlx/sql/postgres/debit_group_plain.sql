-- Several debits of one counter, as a rule: all of them fit, and nothing is special about them, as with one. $19 is the
-- beginning of their splits, $20 the units up to each debit, $21 of all. It answers with the units used before, or with what
-- the function answers for each. $22 says whether keys are looked up: if not, one that is known makes the insertion fail, and
-- then nothing has happened.
WITH moved AS (
    UPDATE usage_quotas
    SET used = used + $21, period_end = ($13::bigint[])[1]
    WHERE company_id = $1 AND meter = ($10::text[])[1] AND bucket = ($11::text[])[1] AND period_start = ($12::bigint[])[1]
        AND CASE
            WHEN used <= coalesce(($14::bigint[])[1], 9223372036854775807) - $21
                THEN width_bucket(used, $18::bigint[]) = width_bucket(used + $21, $18::bigint[])
        END
        -- One look for each key: a plan that is made before the table is analysed must not read all receipts of the company.
        AND NOT ($22 AND EXISTS (
            SELECT FROM unnest($2::text[]) AS one (key)
            WHERE (SELECT TRUE FROM usage_receipts WHERE company_id = $1 AND idempotency_key = one.key)
        ))
        AND NOT EXISTS (
            SELECT FROM usage_reservations
            WHERE company_id = $1 AND NOT freed
                AND expires_at <= (SELECT max(one.instant) FROM unnest($7::bigint[]) AS one (instant))
        )
    RETURNING used - $21 AS before
), receipt AS (
    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split,
        may_be_billed
    )
    SELECT
        $1, one.key, one.receipt, one.user_, $5, one.amount, one.instant, $8, $9, before + one.past,
        concat($19::text, one.amount, ',', before + one.past, ',[]]]')::json,
        EXISTS (SELECT FROM billing_usage_meters WHERE meter = $5)
    FROM moved, unnest($2::text[], $3::text[], $4::text[], $6::bigint[], $7::bigint[], $20::bigint[])
        AS one (key, receipt, user_, amount, instant, past)
)
SELECT before AS now_used, NULL AS taken, NULL AS known
FROM moved
UNION ALL
SELECT debit.now_used, debit.taken, debit.known
FROM usage_debit_group(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
) AS debit
WHERE NOT EXISTS (SELECT FROM moved)
