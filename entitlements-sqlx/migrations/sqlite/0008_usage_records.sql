-- Usage that the billing provider is told of: an outbox. Each receipt of a meter that is billed has one record, written in
-- the statement that makes the receipt, so that none is missed whatever crashes.

CREATE TABLE billing_usage_meters (
    meter TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE billing_usage_records (
    sequence INTEGER NOT NULL PRIMARY KEY,
    -- What the provider knows it by, made once, so that a report that is repeated counts once.
    id TEXT NOT NULL UNIQUE,
    company_id TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'correcting', 'corrected', 'canceled', 'refused', 'uncorrected')),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Since when the provider may have it.
    tried_at INTEGER,
    note TEXT,
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded IN (0, 1)),
    -- From when on it can be claimed; null once nothing is left to do.
    due_at INTEGER DEFAULT 0,
    UNIQUE (company_id, receipt_id),
    CHECK ((state IN ('pending', 'correcting')) = (due_at IS NOT NULL))
) STRICT;

CREATE INDEX billing_usage_records_due ON billing_usage_records (due_at, sequence) WHERE due_at IS NOT NULL;
CREATE INDEX billing_usage_records_unsettled ON billing_usage_records (meter, state, amount, at)
    WHERE state IN ('pending', 'correcting', 'refused', 'uncorrected');

CREATE TRIGGER billing_usage_records_kept
    BEFORE UPDATE OF sequence, id, company_id, receipt_id, meter, amount, at ON billing_usage_records
BEGIN
    SELECT raise(ABORT, 'what was used does not change in billing_usage_records');
END;

CREATE TRIGGER usage_receipts_billed AFTER INSERT ON usage_receipts
WHEN EXISTS (SELECT 1 FROM billing_usage_meters WHERE meter = NEW.meter)
BEGIN
    INSERT INTO billing_usage_records (id, company_id, receipt_id, meter, amount, at)
    VALUES ('use_' || lower(hex(randomblob(16))), NEW.company_id, NEW.receipt_id, NEW.meter, NEW.amount, NEW.at);
END;

-- What is only held is not used.
CREATE TRIGGER usage_reservations_not_billed AFTER INSERT ON usage_reservations
BEGIN
    DELETE FROM billing_usage_records WHERE company_id = NEW.company_id AND receipt_id = NEW.receipt_id;
END;

CREATE TRIGGER usage_settlements_billed AFTER INSERT ON usage_settlements WHEN NEW.amount > 0
BEGIN
    INSERT INTO billing_usage_records (id, company_id, receipt_id, meter, amount, at)
    SELECT
        'use_' || lower(hex(randomblob(16))), receipt.company_id, receipt.receipt_id, receipt.meter, NEW.amount, NEW.at
    FROM usage_receipts AS receipt
    JOIN billing_usage_meters AS billed ON billed.meter = receipt.meter
    WHERE receipt.company_id = NEW.company_id AND receipt.receipt_id = NEW.receipt_id;
END;

-- What was given back is not reported, or the report is taken back; while it is being reported, that is found out then.
CREATE TRIGGER usage_refunds_billed AFTER INSERT ON usage_refunds
BEGIN
    UPDATE billing_usage_records
    SET refunded = 1,
        state = CASE
            WHEN state = 'pending' AND attempts = 0 THEN 'canceled'
            WHEN state = 'refused' AND tried_at IS NULL THEN 'canceled'
            WHEN state IN ('sent', 'refused') THEN 'correcting'
            ELSE state
        END,
        due_at = CASE
            WHEN state = 'pending' AND attempts = 0 THEN NULL
            WHEN state = 'refused' AND tried_at IS NULL THEN NULL
            WHEN state IN ('sent', 'refused') THEN 0
            ELSE due_at
        END
    WHERE company_id = NEW.company_id AND receipt_id = NEW.receipt_id;
END;

CREATE TRIGGER usage_receipts_removed AFTER DELETE ON usage_receipts
BEGIN
    DELETE FROM billing_usage_records
    WHERE company_id = OLD.company_id AND receipt_id = OLD.receipt_id AND due_at IS NULL;
END;

CREATE TRIGGER companies_erased_usage_records AFTER UPDATE OF erased_revision ON companies
WHEN NEW.erased_revision = NEW.revision
BEGIN
    DELETE FROM billing_usage_records WHERE company_id = NEW.id;
END;

-- Replaces all meters by an array of them.
CREATE VIEW billing_usage_meter_set AS SELECT NULL AS meters WHERE FALSE;

CREATE TRIGGER billing_usage_meter_set_replaced INSTEAD OF INSERT ON billing_usage_meter_set
BEGIN
    DELETE FROM billing_usage_meters WHERE meter >= '';
    INSERT INTO billing_usage_meters (meter) SELECT value FROM json_each(NEW.meters) WHERE true ON CONFLICT DO NOTHING;
END;

DROP VIEW company_traces;

CREATE VIEW company_traces AS
SELECT id AS company_id FROM companies WHERE erased_revision IS NOT revision
UNION ALL
SELECT company_id FROM usage_quotas
UNION ALL
SELECT company_id FROM usage_receipts
UNION ALL
SELECT company_id FROM usage_alerts
UNION ALL
SELECT company_id FROM usage_gauges
UNION ALL
SELECT company_id FROM billing_customers
UNION ALL
SELECT company_id FROM billing_operations
UNION ALL
SELECT company_id FROM billing_invoices
UNION ALL
SELECT company_id FROM billing_usage_records
UNION ALL
SELECT company_id FROM entitlement_checks;
