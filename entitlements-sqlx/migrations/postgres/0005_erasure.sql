-- Erasure.
--
-- A company whose `erased_revision` is its `revision` was erased, and nothing was written about it since, but usage. Setting
-- it removes everything else, in the same statement. Invoices, which the law keeps, entries of the audit log, and customers
-- stay under a random name: what the billing provider says later about such a customer is nobody's. What is added to this
-- schema later adds its tables to `company_traces`, and removes its own rows, too.

ALTER TABLE companies ADD COLUMN erased_revision BIGINT;
ALTER TABLE companies ADD COLUMN erased_at BIGINT;

-- What makes a company known, one row or more for each.
CREATE VIEW company_traces AS
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
SELECT company_id FROM entitlement_checks;

CREATE INDEX usage_receipts_by_instant ON usage_receipts (at);
CREATE INDEX companies_erased ON companies (erased_at) WHERE erased_at IS NOT NULL;

CREATE INDEX billing_customers_by_company ON billing_customers (company_id);
CREATE INDEX billing_operations_by_company ON billing_operations (company_id);

-- Receipts are locked first, as refunds do, then counters, in the order in which everybody locks them: from then on every
-- debit or refund that has one of them is over, or comes after the erasure. The usage then goes in one statement, so in one
-- view: a debit of other counters is gone as a whole, or stays as a whole.
CREATE FUNCTION company_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    pseudonym CONSTANT text := concat('erased:', replace(gen_random_uuid()::text, '-', ''));
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    DELETE FROM billing_subscriptions WHERE company_id = NEW.id;
    DELETE FROM company_addons WHERE company_id = NEW.id;
    DELETE FROM company_overrides WHERE company_id = NEW.id;
    DELETE FROM entitlement_grants WHERE company_id = NEW.id;
    DELETE FROM usage_gauges WHERE company_id = NEW.id;
    DELETE FROM billing_locks WHERE company_id = NEW.id;
    DELETE FROM billing_operations WHERE company_id = NEW.id;
    PERFORM 1 FROM usage_receipts WHERE company_id = NEW.id ORDER BY idempotency_key FOR UPDATE;
    PERFORM 1 FROM usage_quotas WHERE company_id = NEW.id ORDER BY meter, bucket, period_start FOR UPDATE;
    WITH counters AS (
        DELETE FROM usage_quotas WHERE company_id = NEW.id
    ), alerts AS (
        DELETE FROM usage_alerts WHERE company_id = NEW.id
    )
    DELETE FROM usage_receipts WHERE company_id = NEW.id;
    UPDATE entitlement_checks
    SET company_id = pseudonym, user_id = NULL, resource = NULL,
        source_id = CASE WHEN source <> 'grant' THEN source_id END, salt = NULL
    WHERE company_id = NEW.id;
    UPDATE billing_customers
    SET company_id = pseudonym, deleted_at = coalesce(deleted_at, NEW.erased_at)
    WHERE company_id = NEW.id;
    UPDATE billing_invoices SET company_id = pseudonym, hosted_url = NULL WHERE company_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER companies_erased AFTER INSERT OR UPDATE OF erased_revision ON companies
    FOR EACH ROW WHEN (NEW.erased_revision = NEW.revision) EXECUTE FUNCTION company_erased();

-- Erases a company: answers with the revision that it then has, or with nothing if it is not known.
CREATE FUNCTION company_erase(its_company text, its_instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    taken bigint;
BEGIN
    SELECT value + 1 INTO STRICT taken FROM revision_sequence WHERE id = 1 FOR UPDATE;
    IF NOT EXISTS (SELECT FROM company_traces WHERE company_id = its_company) THEN
        RETURN NULL;
    END IF;
    INSERT INTO companies (id, revision, erased_revision, erased_at)
    VALUES (its_company, taken, taken, its_instant)
    ON CONFLICT (id) DO UPDATE
    SET revision = excluded.revision, erased_revision = excluded.erased_revision, erased_at = excluded.erased_at;
    RETURN taken;
END
$$;

-- An override that goes with its company takes no revision of its own.
CREATE OR REPLACE FUNCTION company_lost() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (SELECT erased_revision IS DISTINCT FROM revision FROM companies WHERE id = OLD.company_id) THEN
        UPDATE revision_sequence SET value = value + 1 WHERE id = 1;
        UPDATE companies SET revision = revision_taken() WHERE id = OLD.company_id;
    END IF;
    RETURN OLD;
END
$$;

-- Removes the revisions that are left of companies that were erased and have not come back.
CREATE FUNCTION erasures_expire(before bigint) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    -- So that no company comes back meanwhile.
    PERFORM 1 FROM revision_sequence WHERE id = 1 FOR UPDATE;
    DELETE FROM companies
    WHERE erased_at < before
        AND NOT EXISTS (SELECT FROM company_traces WHERE company_traces.company_id = companies.id);
END
$$;
