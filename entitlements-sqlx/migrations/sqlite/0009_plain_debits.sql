-- Several debits of one counter move it once, by the statement that inserts them here as one row: the list of debits, what the
-- counter held before, and what all of them take. It has checked that nothing is special about them.

-- Whether what a receipt took is in the counters already. Triggers look at nothing else of it then.
ALTER TABLE usage_receipts ADD COLUMN counted INTEGER NOT NULL DEFAULT 0 CHECK (counted IN (0, 1));

DROP TRIGGER usage_receipts_freeing;
CREATE TRIGGER usage_receipts_freeing BEFORE INSERT ON usage_receipts
WHEN NEW.counted = 0 AND EXISTS (
    SELECT 1 FROM usage_reservations WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.at
)
BEGIN
    UPDATE usage_reservations SET freed = 1
    WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.at;
END;

DROP TRIGGER usage_receipts_counted_plainly;
CREATE TRIGGER usage_receipts_counted_plainly AFTER INSERT ON usage_receipts
WHEN NEW.counted = 0 AND json_array_length(NEW.split) = 1 AND json_array_length(NEW.split, '$[0][6]') = 0
BEGIN
    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
    VALUES (
        NEW.company_id, NEW.split ->> '$[0][0]', NEW.split ->> '$[0][1]', NEW.split ->> '$[0][2]',
        NEW.split ->> '$[0][3]', NEW.split ->> '$[0][4]'
    )
    ON CONFLICT (company_id, meter, bucket, period_start) DO UPDATE SET used = used + excluded.used;

    -- Apart, so that the index on the end is left alone when the end stays as it is.
    UPDATE usage_quotas SET period_end = NEW.split ->> '$[0][3]'
    WHERE company_id = NEW.company_id AND meter = NEW.split ->> '$[0][0]' AND bucket = NEW.split ->> '$[0][1]'
        AND period_start = NEW.split ->> '$[0][2]' AND period_end IS NOT NEW.split ->> '$[0][3]';
END;

DROP TRIGGER usage_receipts_counted;
CREATE TRIGGER usage_receipts_counted AFTER INSERT ON usage_receipts
WHEN NEW.counted = 0 AND NOT (json_array_length(NEW.split) = 1 AND json_array_length(NEW.split, '$[0][6]') = 0)
BEGIN
    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, part.value ->> 3, part.value ->> 4
    FROM json_each(NEW.split) AS part
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start) DO UPDATE SET used = used + excluded.used;

    -- Apart, so that the index on the end is left alone when the end stays as it is.
    UPDATE usage_quotas SET period_end = part.value ->> 3
    FROM json_each(NEW.split) AS part
    WHERE company_id = NEW.company_id AND meter = part.value ->> 0 AND bucket = part.value ->> 1
        AND period_start = part.value ->> 2 AND period_end IS NOT part.value ->> 3;

    INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, crossed.value ->> 0,
        crossed.value ->> 1, part.value ->> 5, NEW.at
    FROM json_each(NEW.split) AS part, json_each(part.value, '$[6]') AS crossed
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start, percent, threshold) DO NOTHING;
END;

-- `debits` lists key, receipt, user, units, instant, and the units up to each. `beginning` is that of their splits.
CREATE VIEW usage_plain_grouping AS
SELECT
    quota.company_id, receipt.meter, receipt.quota_limit, receipt.resets_at, receipt.split AS debits,
    receipt.split AS beginning, quota.meter AS counter, quota.bucket, quota.period_start, quota.used,
    receipt.amount AS taken
FROM usage_receipts AS receipt
JOIN usage_quotas AS quota ON quota.company_id = receipt.company_id;

CREATE TRIGGER usage_plain_grouping_made INSTEAD OF INSERT ON usage_plain_grouping
BEGIN
    UPDATE usage_quotas SET used = used + NEW.taken
    WHERE company_id = NEW.company_id AND meter = NEW.counter AND bucket = NEW.bucket
        AND period_start = NEW.period_start;

    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split, counted
    )
    SELECT
        NEW.company_id, key, receipt, user, NEW.meter, amount, at, NEW.quota_limit, NEW.resets_at, used,
        NEW.beginning || amount || ',' || used || ',[]]]', 1
    -- Each part is read out of the list once.
    FROM (
        SELECT value ->> 0 AS key, value ->> 1 AS receipt, value ->> 2 AS user, value ->> 3 AS amount,
            value ->> 4 AS at, NEW.used + (value ->> 5) AS used
        FROM json_each(NEW.debits)
        LIMIT -1 OFFSET 0
    ) AS part;
END;
