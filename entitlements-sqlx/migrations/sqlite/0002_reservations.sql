-- Units that are set aside. A reservation is a receipt with a row here; what it came to is a row of `usage_settlements`.
CREATE TABLE usage_reservations (
    company_id TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    -- Where it takes from, as its statement lists it: number of the bucket (null for a tally), 1 if the counter is shown,
    -- meter, bucket, first and last instant of the period, limit, thresholds.
    counters TEXT NOT NULL CHECK (json_valid(counters)),
    -- Whether the counters no longer hold its units: it was ended, or a write found that it has expired.
    freed INTEGER NOT NULL DEFAULT 0 CHECK (freed IN (0, 1)),
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Only those that the counters still hold: whoever looks for expired ones finds nothing where there is none.
CREATE INDEX usage_reservations_held ON usage_reservations (company_id, expires_at) WHERE freed = 0;

-- How reservations were ended. Append-only.
CREATE TABLE usage_settlements (
    company_id TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- Units that were used; null if it was released.
    actual INTEGER CHECK (actual >= 0),
    -- Units that were taken of them; with `used` and `split` they replace those of the receipt.
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND coalesce(actual, 0)),
    used INTEGER NOT NULL CHECK (used >= 0),
    split TEXT NOT NULL CHECK (json_valid(split)),
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_reservations (company_id, receipt_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Receipts as they are read; the last part says whether it is one: null, or for a reservation 1 if it was committed.
CREATE VIEW usage_receipt_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter,
        coalesce(settlement.amount, receipt.amount), coalesce(settlement.at, receipt.at),
        coalesce(settlement.split, receipt.split), coalesce(settlement.used, receipt.used), receipt.quota_limit,
        receipt.resets_at, refund.at, iif(reservation.receipt_id IS NULL, NULL, coalesce(settlement.amount, 0) > 0)
    ) AS receipt
FROM usage_receipts AS receipt
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = receipt.company_id AND refund.receipt_id = receipt.receipt_id
LEFT JOIN usage_reservations AS reservation
    ON reservation.company_id = receipt.company_id AND reservation.receipt_id = receipt.receipt_id
LEFT JOIN usage_settlements AS settlement
    ON settlement.company_id = receipt.company_id AND settlement.receipt_id = receipt.receipt_id;

-- Reservations as they are read.
CREATE VIEW usage_reservation_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter, receipt.amount,
        receipt.at, receipt.split, receipt.used, receipt.quota_limit, receipt.resets_at, reservation.expires_at,
        settlement.at, settlement.actual, settlement.amount, settlement.used, settlement.split, refund.at
    ) AS reservation
FROM usage_reservations AS reservation
JOIN usage_receipts AS receipt
    ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
LEFT JOIN usage_settlements AS settlement
    ON settlement.company_id = reservation.company_id AND settlement.receipt_id = reservation.receipt_id
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = reservation.company_id AND refund.receipt_id = reservation.receipt_id;

-- A reservation is made by the statement that inserts it here: its receipt moves the counters.
CREATE VIEW usage_reserving AS
SELECT
    receipt.company_id, receipt.idempotency_key, receipt.receipt_id, receipt.user_id, receipt.meter, receipt.amount,
    receipt.at, receipt.quota_limit, receipt.resets_at, receipt.used, receipt.split, reservation.expires_at,
    reservation.counters
FROM usage_reservations AS reservation
JOIN usage_receipts AS receipt
    ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id;

CREATE TRIGGER usage_reserving_made INSTEAD OF INSERT ON usage_reserving
BEGIN
    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
    ) VALUES (
        NEW.company_id, NEW.idempotency_key, NEW.receipt_id, NEW.user_id, NEW.meter, NEW.amount, NEW.at, NEW.quota_limit,
        NEW.resets_at, NEW.used, NEW.split
    );
    INSERT INTO usage_reservations (company_id, receipt_id, expires_at, counters)
    VALUES (NEW.company_id, NEW.receipt_id, NEW.expires_at, NEW.counters);
END;

-- What has expired is free. Statements that read the counters leave it out; those that change them free it first.

CREATE TRIGGER usage_receipts_freeing BEFORE INSERT ON usage_receipts
WHEN EXISTS (
    SELECT 1 FROM usage_reservations WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.at
)
BEGIN
    UPDATE usage_reservations SET freed = 1
    WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.at;
END;

CREATE TRIGGER usage_settlements_freeing BEFORE INSERT ON usage_settlements
BEGIN
    UPDATE usage_reservations SET freed = 1
    WHERE company_id = NEW.company_id AND freed = 0 AND expires_at <= NEW.at;
END;

CREATE TRIGGER usage_reservations_freed AFTER UPDATE OF freed ON usage_reservations WHEN OLD.freed = 0 AND NEW.freed = 1
BEGIN
    UPDATE usage_quotas SET used = usage_quotas.used - (part.value ->> 4)
    FROM usage_receipts AS receipt, json_each(receipt.split) AS part
    WHERE receipt.company_id = NEW.company_id AND receipt.receipt_id = NEW.receipt_id
        AND usage_quotas.company_id = NEW.company_id AND usage_quotas.meter = part.value ->> 0
        AND usage_quotas.bucket = part.value ->> 1 AND usage_quotas.period_start = part.value ->> 2;
END;

-- The end of a reservation gives back what was set aside, and takes what was used.
CREATE TRIGGER usage_settlements_counted AFTER INSERT ON usage_settlements
BEGIN
    UPDATE usage_reservations SET freed = 1
    WHERE company_id = NEW.company_id AND receipt_id = NEW.receipt_id AND freed = 0;

    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, part.value ->> 3, part.value ->> 4
    FROM json_each(NEW.split) AS part
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start) DO UPDATE SET used = used + excluded.used;

    INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, crossed.value ->> 0,
        crossed.value ->> 1, part.value ->> 5, NEW.at
    FROM json_each(NEW.split) AS part, json_each(part.value, '$[6]') AS crossed
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start, percent, threshold) DO NOTHING;
END;

-- A refund takes back what the receipt lists; that of a reservation, what the commit took.
DROP TRIGGER usage_refunds_counted;

CREATE TRIGGER usage_refunds_counted AFTER INSERT ON usage_refunds
BEGIN
    UPDATE usage_quotas SET used = max(usage_quotas.used - (part.value ->> 4), 0)
    FROM (
        SELECT coalesce(settlement.split, receipt.split) AS split
        FROM usage_receipts AS receipt
        LEFT JOIN usage_settlements AS settlement
            ON settlement.company_id = receipt.company_id AND settlement.receipt_id = receipt.receipt_id
        WHERE receipt.company_id = NEW.company_id AND receipt.receipt_id = NEW.receipt_id
    ) AS taken, json_each(taken.split) AS part
    WHERE usage_quotas.company_id = NEW.company_id AND usage_quotas.meter = part.value ->> 0
        AND usage_quotas.bucket = part.value ->> 1 AND usage_quotas.period_start = part.value ->> 2;
END;

CREATE TRIGGER usage_reservations_kept BEFORE UPDATE ON usage_reservations
WHEN NOT (
    OLD.company_id = NEW.company_id AND OLD.receipt_id = NEW.receipt_id AND OLD.expires_at = NEW.expires_at
    AND OLD.counters = NEW.counters AND OLD.freed = 0 AND NEW.freed = 1
)
BEGIN
    SELECT raise(ABORT, 'usage_reservations are only freed');
END;

CREATE TRIGGER usage_settlements_kept BEFORE UPDATE ON usage_settlements
BEGIN
    SELECT raise(ABORT, 'usage_settlements is append-only');
END;
