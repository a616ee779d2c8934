-- The row of a debit's receipt, or none: where it takes its units from.
WITH RECURSIVE
-- What counters hold of reservations that have expired.
expired AS MATERIALIZED (
    SELECT
        part.value ->> 0 AS meter,
        part.value ->> 1 AS bucket,
        part.value ->> 2 AS period_start,
        sum(part.value ->> 4) AS units
    FROM usage_reservations AS reservation
    JOIN usage_receipts AS receipt
        ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id,
        json_each(receipt.split) AS part
    WHERE reservation.company_id = $1 AND reservation.freed = 0 AND reservation.expires_at <= $7
    GROUP BY 1, 2, 3
),
-- What each counter holds before.
counter AS MATERIALIZED (
    SELECT
        asked.key AS place,
        asked.value ->> 0 AS bucket_number,
        asked.value ->> 1 AS is_shown,
        asked.value ->> 2 AS meter,
        asked.value ->> 3 AS bucket,
        asked.value ->> 4 AS period_start,
        asked.value ->> 5 AS period_end,
        asked.value ->> 6 AS quota_limit,
        asked.value -> 7 AS thresholds,
        -- As a rule nothing has expired, and that is one look into an index.
        coalesce(quota.used, 0) - CASE
            WHEN EXISTS (
                SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $7
            ) THEN coalesce((
                SELECT units
                FROM expired
                WHERE expired.meter = asked.value ->> 2 AND expired.bucket = asked.value ->> 3
                    AND expired.period_start = asked.value ->> 4
            ), 0)
            ELSE 0
        END AS used
    FROM json_each($10) AS asked
    LEFT JOIN usage_quotas AS quota
        ON quota.company_id = $1
        AND quota.meter = asked.value ->> 2
        AND quota.bucket = asked.value ->> 3
        AND quota.period_start = asked.value ->> 4
),
-- A bucket has the room of its shortest counter; without a limit, all that is asked for.
room AS MATERIALIZED (
    SELECT bucket_number, coalesce(min(max(quota_limit - used, 0)), $6) AS units
    FROM counter
    WHERE bucket_number IS NOT NULL
    GROUP BY bucket_number
),
-- One bucket after the other gives what it can of what is still missing.
taking (bucket_number, units, missing) AS (
    SELECT -1, 0, $6
    UNION ALL
    SELECT room.bucket_number, min(room.units, taking.missing), taking.missing - min(room.units, taking.missing)
    FROM taking
    JOIN room ON room.bucket_number = taking.bucket_number + 1
),
addition AS MATERIALIZED (
    SELECT
        counter.*,
        CASE WHEN counter.bucket_number IS NULL THEN $6 ELSE taking.units END AS units
    FROM counter
    LEFT JOIN taking ON taking.bucket_number = counter.bucket_number
),
-- The sum in two halves of 32 bits, so that it cannot overflow.
shown AS (
    SELECT
        coalesce(sum((used + units) >> 32), 0) AS high,
        coalesce(sum((used + units) & 4294967295), 0) AS low
    FROM addition
    WHERE is_shown = 1
)
SELECT
    $1, $2, $3, $4, $5, $6, $7, $8, $9,
    (
        SELECT iif(
            high + (low >> 32) < 2147483648,
            ((high + (low >> 32)) << 32) | (low & 4294967295),
            9223372036854775807
        )
        FROM shown
    ),
    json_group_array(
        json_array(
            meter, bucket, period_start, period_end, units, used + units,
            json((
                SELECT json_group_array(json(threshold.value))
                FROM json_each(thresholds) AS threshold
                WHERE used < threshold.value ->> 1 AND threshold.value ->> 1 <= used + units
            ))
        )
        ORDER BY place
    ) FILTER (WHERE units > 0)
FROM addition
HAVING (SELECT min(missing) FROM taking) = 0
    AND count(*) FILTER (WHERE used > 9223372036854775807 - units) = 0
    AND NOT EXISTS (SELECT 1 FROM usage_receipts WHERE company_id = $1 AND idempotency_key = $2)
