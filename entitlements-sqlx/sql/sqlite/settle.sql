-- Ends a reservation, or returns no row: it was ended before, or there is none. $3 is what was used, null for a release.
-- The triggers on `usage_settlements` move the counters.
INSERT INTO usage_settlements (company_id, receipt_id, at, actual, amount, used, split)
WITH RECURSIVE
reservation AS MATERIALIZED (
    SELECT
        reservation.counters,
        receipt.split,
        reservation.freed = 0 AND reservation.expires_at > $4 AS is_active
    FROM usage_reservations AS reservation
    JOIN usage_receipts AS receipt
        ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
    WHERE reservation.company_id = $1 AND reservation.receipt_id = $2
        AND NOT EXISTS (SELECT 1 FROM usage_settlements WHERE company_id = $1 AND receipt_id = $2)
),
-- What counters hold of reservations that have expired, this one included.
expired AS MATERIALIZED (
    SELECT
        part.value ->> 0 AS meter,
        part.value ->> 1 AS bucket,
        part.value ->> 2 AS period_start,
        sum(part.value ->> 4) AS units
    FROM usage_reservations AS other
    JOIN usage_receipts AS receipt ON receipt.company_id = other.company_id AND receipt.receipt_id = other.receipt_id,
        json_each(receipt.split) AS part
    WHERE other.company_id = $1 AND other.freed = 0 AND other.expires_at <= $4
    GROUP BY 1, 2, 3
),
-- What each counter holds, and what of it is this reservation's.
counter AS MATERIALIZED (
    SELECT
        asked.key AS place,
        asked.value ->> 0 AS bucket_number,
        asked.value ->> 1 AS is_shown,
        asked.value ->> 2 AS meter,
        asked.value ->> 3 AS bucket,
        asked.value ->> 4 AS period_start,
        asked.value ->> 5 AS period_end,
        coalesce(iif(asked.value ->> 0 IS NULL, NULL, asked.value ->> 6), 9223372036854775807) AS quota_limit,
        asked.value -> 7 AS thresholds,
        -- As a rule nothing has expired, and that is one look into an index.
        coalesce(quota.used, 0) - CASE
            WHEN EXISTS (
                SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $4
            ) THEN coalesce((
                SELECT units
                FROM expired
                WHERE expired.meter = asked.value ->> 2 AND expired.bucket = asked.value ->> 3
                    AND expired.period_start = asked.value ->> 4
            ), 0)
            ELSE 0
        END AS held,
        iif(reservation.is_active, coalesce(part.value ->> 4, 0), 0) AS own
    FROM reservation, json_each(reservation.counters) AS asked
    LEFT JOIN usage_quotas AS quota
        ON quota.company_id = $1
        AND quota.meter = asked.value ->> 2
        AND quota.bucket = asked.value ->> 3
        AND quota.period_start = asked.value ->> 4
    LEFT JOIN json_each(reservation.split) AS part
        ON part.value ->> 0 = asked.value ->> 2
        AND part.value ->> 1 = asked.value ->> 3
        AND part.value ->> 2 = asked.value ->> 4
),
-- Tallies have no limit, but there is one to every number.
wanted AS MATERIALIZED (
    SELECT min($3, coalesce(min(quota_limit - (held - own)), $3)) AS units FROM counter WHERE bucket_number IS NULL
),
-- A bucket has its share of the reservation, and the room of its shortest counter.
room AS MATERIALIZED (
    SELECT bucket_number, max(own) AS own, min(max(quota_limit - (held - own), 0)) AS units
    FROM counter
    WHERE bucket_number IS NOT NULL
    GROUP BY bucket_number
),
-- One bucket after the other keeps what it can of what was used.
keeping (bucket_number, units, missing) AS (
    SELECT -1, 0, units FROM wanted
    UNION ALL
    SELECT room.bucket_number, min(room.own, keeping.missing), keeping.missing - min(room.own, keeping.missing)
    FROM keeping
    JOIN room ON room.bucket_number = keeping.bucket_number + 1
),
-- One bucket after the other gives what it can of what is still missing.
taking (bucket_number, units, missing) AS (
    SELECT -1, 0, min(missing) FROM keeping
    UNION ALL
    SELECT
        room.bucket_number,
        keeping.units + min(max(room.units - keeping.units, 0), taking.missing),
        taking.missing - min(max(room.units - keeping.units, 0), taking.missing)
    FROM taking
    JOIN room ON room.bucket_number = taking.bucket_number + 1
    JOIN keeping ON keeping.bucket_number = room.bucket_number
),
taken AS MATERIALIZED (
    SELECT coalesce(sum(units), 0) AS units FROM taking
),
addition AS MATERIALIZED (
    SELECT
        counter.*,
        coalesce(iif(counter.bucket_number IS NULL, (SELECT units FROM taken), taking.units), 0) AS units
    FROM counter
    LEFT JOIN taking ON taking.bucket_number = counter.bucket_number
),
-- The sum in two halves of 32 bits, so that it cannot overflow.
shown AS (
    SELECT
        coalesce(sum((held - own + units) >> 32), 0) AS high,
        coalesce(sum((held - own + units) & 4294967295), 0) AS low
    FROM addition
    WHERE is_shown = 1
)
SELECT
    $1, $2, $4, $3,
    iif($3 IS NULL, 0, (SELECT units FROM taken)),
    (
        SELECT iif(
            high + (low >> 32) < 2147483648,
            ((high + (low >> 32)) << 32) | (low & 4294967295),
            9223372036854775807
        )
        FROM shown
    ),
    coalesce((
        SELECT json_group_array(
            json_array(
                meter, bucket, period_start, period_end, units, held - own + units,
                json((
                    SELECT json_group_array(json(threshold.value))
                    FROM json_each(thresholds) AS threshold
                    WHERE held < threshold.value ->> 1 AND threshold.value ->> 1 <= held - own + units
                ))
            )
            ORDER BY place
        )
        FROM addition
        WHERE units > 0
    ), '[]')
FROM reservation
RETURNING receipt_id
