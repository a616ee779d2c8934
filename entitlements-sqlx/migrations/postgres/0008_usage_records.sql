-- Usage that the billing provider is told of: an outbox. Each receipt of a meter that is billed has one record, written in
-- the transaction that makes the receipt, so that none is missed whatever crashes. A number that grows would not do to find
-- new receipts by: transactions commit in another order than they take numbers in.

CREATE TABLE billing_usage_meters (
    meter TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE billing_usage_records (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What the provider knows it by, made once, so that a report that is repeated counts once.
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    company_id TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sent', 'correcting', 'corrected', 'canceled', 'refused', 'uncorrected')),
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Since when the provider may have it.
    tried_at BIGINT,
    note TEXT,
    refunded BOOLEAN NOT NULL DEFAULT FALSE,
    -- From when on it can be claimed; null once nothing is left to do.
    due_at BIGINT DEFAULT 0,
    UNIQUE (company_id, receipt_id),
    CHECK ((state IN ('pending', 'correcting')) = (due_at IS NOT NULL))
);

CREATE INDEX billing_usage_records_due ON billing_usage_records (due_at, sequence) WHERE due_at IS NOT NULL;
CREATE INDEX billing_usage_records_unsettled ON billing_usage_records (meter, state, amount, at)
    WHERE state IN ('pending', 'correcting', 'refused', 'uncorrected');

CREATE FUNCTION usage_records_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'what was used does not change in billing_usage_records';
END
$$;

CREATE TRIGGER billing_usage_records_kept
    BEFORE UPDATE OF sequence, id, company_id, receipt_id, meter, amount, at ON billing_usage_records
    FOR EACH STATEMENT EXECUTE FUNCTION usage_records_kept();

-- Whether a receipt is looked at. A statement that has seen that the meter is not billed says so: that costs less.
ALTER TABLE usage_receipts ADD COLUMN may_be_billed BOOLEAN NOT NULL DEFAULT TRUE;

CREATE FUNCTION usage_receipt_billed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    INSERT INTO billing_usage_records (id, company_id, receipt_id, meter, amount, at)
    SELECT
        concat('use_', replace(gen_random_uuid()::text, '-', '')), NEW.company_id, NEW.receipt_id, NEW.meter,
        NEW.amount, NEW.at
    FROM billing_usage_meters AS billed
    WHERE billed.meter = NEW.meter;
    RETURN NULL;
END
$$;

CREATE TRIGGER usage_receipts_billed AFTER INSERT ON usage_receipts
    FOR EACH ROW WHEN (NEW.may_be_billed) EXECUTE FUNCTION usage_receipt_billed();

-- What is only held is not used.
CREATE FUNCTION usage_reservation_not_billed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    DELETE FROM billing_usage_records WHERE company_id = NEW.company_id AND receipt_id = NEW.receipt_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER usage_reservations_not_billed AFTER INSERT ON usage_reservations
    FOR EACH ROW EXECUTE FUNCTION usage_reservation_not_billed();

CREATE FUNCTION usage_settlement_billed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    INSERT INTO billing_usage_records (id, company_id, receipt_id, meter, amount, at)
    SELECT
        concat('use_', replace(gen_random_uuid()::text, '-', '')), receipt.company_id, receipt.receipt_id, receipt.meter,
        NEW.amount, NEW.at
    FROM usage_receipts AS receipt
    JOIN billing_usage_meters AS billed ON billed.meter = receipt.meter
    WHERE receipt.company_id = NEW.company_id AND receipt.receipt_id = NEW.receipt_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER usage_settlements_billed AFTER INSERT ON usage_settlements
    FOR EACH ROW WHEN (NEW.amount > 0) EXECUTE FUNCTION usage_settlement_billed();

-- What was given back is not reported, or the report is taken back; while it is being reported, that is found out then.
CREATE FUNCTION usage_refund_billed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE billing_usage_records
    SET refunded = TRUE,
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
    RETURN NULL;
END
$$;

CREATE TRIGGER usage_refunds_billed AFTER INSERT ON usage_refunds
    FOR EACH ROW EXECUTE FUNCTION usage_refund_billed();

CREATE FUNCTION usage_receipts_removed() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    DELETE FROM billing_usage_records AS record
    USING removed
    WHERE record.company_id = removed.company_id AND record.receipt_id = removed.receipt_id AND record.due_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER usage_receipts_removed AFTER DELETE ON usage_receipts
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION usage_receipts_removed();

-- After the receipts of the company, so that usage that comes meanwhile is gone as a whole, or stays as a whole.
CREATE FUNCTION company_usage_records_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    DELETE FROM billing_usage_records AS record
    WHERE record.company_id = NEW.id
        AND NOT EXISTS (
            SELECT FROM usage_receipts AS receipt
            WHERE receipt.company_id = NEW.id AND receipt.receipt_id = record.receipt_id
        );
    RETURN NULL;
END
$$;

CREATE TRIGGER companies_erased_usage_records AFTER INSERT OR UPDATE OF erased_revision ON companies
    FOR EACH ROW WHEN (NEW.erased_revision = NEW.revision) EXECUTE FUNCTION company_usage_records_erased();

-- Replaces all meters that are billed.
CREATE FUNCTION usage_meters_billed(its_meters json) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM billing_usage_meters
    WHERE meter NOT IN (SELECT value FROM json_array_elements_text(its_meters) AS value);
    INSERT INTO billing_usage_meters (meter)
    SELECT value FROM json_array_elements_text(its_meters) AS value
    ON CONFLICT DO NOTHING;
END
$$;

CREATE OR REPLACE VIEW company_traces AS
SELECT id AS company_id FROM companies WHERE erased_revision IS DISTINCT FROM revision
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
