-- Of several debits that are made together the latest instant decides what has expired, as in PostgreSQL: it is free before the
-- first of them.

DROP TRIGGER usage_grouping_made;
DROP VIEW usage_grouping;

-- As before, with `latest`: the latest instant of the statement.
CREATE VIEW usage_grouping AS
SELECT
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, split AS counters,
    sequence AS place, sequence AS newest, at AS latest
FROM usage_receipts;

CREATE TRIGGER usage_grouping_made INSTEAD OF INSERT ON usage_grouping
BEGIN
    UPDATE usage_reservations SET freed = 1
    WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.latest;

    -- As the statement of a debit does.
    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
    )
    WITH RECURSIVE
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
            coalesce(quota.used, 0) AS used
        FROM json_each(NEW.counters) AS asked
        LEFT JOIN usage_quotas AS quota
            ON quota.company_id = NEW.company_id
            AND quota.meter = asked.value ->> 2
            AND quota.bucket = asked.value ->> 3
            AND quota.period_start = asked.value ->> 4
    ),
    -- A bucket has the room of its shortest counter; without a limit, all that is asked for.
    room AS MATERIALIZED (
        SELECT bucket_number, coalesce(min(max(quota_limit - used, 0)), NEW.amount) AS units
        FROM counter
        WHERE bucket_number IS NOT NULL
        GROUP BY bucket_number
    ),
    -- One bucket after the other gives what it can of what is still missing.
    taking (bucket_number, units, missing) AS (
        SELECT -1, 0, NEW.amount
        UNION ALL
        SELECT room.bucket_number, min(room.units, taking.missing), taking.missing - min(room.units, taking.missing)
        FROM taking
        JOIN room ON room.bucket_number = taking.bucket_number + 1
    ),
    addition AS MATERIALIZED (
        SELECT
            counter.*,
            CASE WHEN counter.bucket_number IS NULL THEN NEW.amount ELSE taking.units END AS units
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
        NEW.company_id, NEW.idempotency_key, NEW.receipt_id, NEW.user_id, NEW.meter, NEW.amount, NEW.at, NEW.quota_limit, NEW.resets_at,
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
        AND NOT EXISTS (SELECT 1 FROM usage_receipts WHERE company_id = NEW.company_id AND idempotency_key = NEW.idempotency_key);
END;
