-- What a debit costs, as a rule.
--
-- The conditions on units are those of types now: the conditions of a table are read anew, as text, by each statement that
-- writes to it, and those of a type are kept by the session.

DROP VIEW usage_receipt_rows;
DROP VIEW usage_reservation_rows;

CREATE DOMAIN usage_units AS BIGINT CHECK (VALUE >= 0);
CREATE DOMAIN usage_units_taken AS BIGINT CHECK (VALUE > 0);

ALTER TABLE usage_quotas
    DROP CONSTRAINT usage_quotas_used_check,
    ALTER COLUMN used TYPE usage_units;
ALTER TABLE usage_receipts
    DROP CONSTRAINT usage_receipts_amount_check,
    DROP CONSTRAINT usage_receipts_quota_limit_check,
    DROP CONSTRAINT usage_receipts_used_check,
    ALTER COLUMN amount TYPE usage_units_taken,
    ALTER COLUMN quota_limit TYPE usage_units,
    ALTER COLUMN used TYPE usage_units;

-- A company that the statistics do not know yet seems to have no receipts. All of them are then as cheap to read as the one
-- that is looked for, by any index that begins with the company, and a kept plan goes on reading them while they become
-- many. So one index alone begins with the company, and what a company has is not guessed from what others have.
ALTER TABLE usage_refunds DROP CONSTRAINT usage_refunds_company_id_receipt_id_fkey;
ALTER TABLE usage_reservations DROP CONSTRAINT usage_reservations_company_id_receipt_id_fkey;
ALTER TABLE usage_receipts
    DROP CONSTRAINT usage_receipts_company_id_receipt_id_key,
    ADD CONSTRAINT usage_receipts_receipt_id_company_id_key UNIQUE (receipt_id, company_id),
    ALTER COLUMN company_id SET STATISTICS 0;
ALTER TABLE usage_refunds ADD CONSTRAINT usage_refunds_company_id_receipt_id_fkey
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE;
ALTER TABLE usage_reservations ADD CONSTRAINT usage_reservations_company_id_receipt_id_fkey
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE;

-- Receipts as they are read; the last part says whether it is one: null, or for a reservation whether it was committed.
CREATE VIEW usage_receipt_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter,
        coalesce(settlement.amount, receipt.amount), coalesce(settlement.at, receipt.at),
        coalesce(settlement.split, receipt.split)::text, coalesce(settlement.used, receipt.used), receipt.quota_limit,
        receipt.resets_at, refund.at,
        CASE WHEN reservation.receipt_id IS NOT NULL THEN coalesce(settlement.amount, 0) > 0 END
    )::text AS receipt
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
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter, receipt.amount,
        receipt.at, receipt.split::text, receipt.used, receipt.quota_limit, receipt.resets_at, reservation.expires_at,
        settlement.at, settlement.actual, settlement.amount, settlement.used, settlement.split::text, refund.at
    )::text AS reservation
FROM usage_reservations AS reservation
JOIN usage_receipts AS receipt
    ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
LEFT JOIN usage_settlements AS settlement
    ON settlement.company_id = reservation.company_id AND settlement.receipt_id = reservation.receipt_id
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = reservation.company_id AND refund.receipt_id = reservation.receipt_id;

-- A debit of one counter that is not as most are: what has expired is freed first. It answers as `usage_debit` does, in a list.
CREATE FUNCTION usage_debit_one(
    its_company text, its_key text, its_receipt text, its_user text, its_meter text, its_amount bigint,
    its_instant bigint, its_limit bigint, its_reset bigint,
    its_counter text, its_bucket text, its_start bigint, its_end bigint, its_room bigint,
    percents bigint[], thresholds bigint[]
) RETURNS text[] LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    instant bigint := its_instant;
    debit record;
BEGIN
    IF EXISTS (
        SELECT FROM usage_reservations WHERE company_id = its_company AND NOT freed AND expires_at <= its_instant
    ) THEN
        instant := coalesce(
            usage_free(
                its_company, its_instant, ARRAY[its_counter], ARRAY[its_bucket], ARRAY[its_start], ARRAY[its_end]
            ),
            its_instant
        );
    END IF;
    SELECT * INTO debit FROM usage_debit(
        its_company, its_key, its_receipt, its_user, its_meter, its_amount, instant, its_limit, its_reset,
        ARRAY[its_counter], ARRAY[its_bucket], ARRAY[its_start], ARRAY[its_end], ARRAY[its_room], '{1}', '{1}',
        array_fill(1::bigint, ARRAY[cardinality(percents)]), percents, thresholds
    );
    RETURN ARRAY[debit.now_used::text, debit.taken, debit.known];
END
$$;
