-- Erasure.
--
-- A company whose `erased_revision` is its `revision` was erased, and nothing was written about it since, but usage. Setting
-- it removes everything else, in the same statement. Invoices, which the law keeps, entries of the audit log, and customers
-- stay under a random name: what the billing provider says later about such a customer is nobody's. What is added to this
-- schema later adds its tables to `company_traces`, and removes its own rows, too.

ALTER TABLE companies ADD COLUMN erased_revision INTEGER;
ALTER TABLE companies ADD COLUMN erased_at INTEGER;

-- What makes a company known, one row or more for each.
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
SELECT company_id FROM entitlement_checks;

-- The name under which entries and invoices of the last erased company stay; others have had others.
CREATE TABLE erasure_pseudonym (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
) STRICT;

INSERT INTO erasure_pseudonym (id, name) VALUES (1, 'erased:');

CREATE INDEX usage_receipts_by_instant ON usage_receipts (at);
CREATE INDEX companies_erased ON companies (erased_at) WHERE erased_at IS NOT NULL;

CREATE TRIGGER companies_inserted_erased AFTER INSERT ON companies
WHEN NEW.erased_revision = NEW.revision
BEGIN
    UPDATE companies SET erased_revision = NEW.erased_revision WHERE id = NEW.id;
END;

CREATE TRIGGER companies_erased AFTER UPDATE OF erased_revision ON companies
WHEN NEW.erased_revision = NEW.revision
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    DELETE FROM billing_subscriptions WHERE company_id = NEW.id;
    DELETE FROM company_addons WHERE company_id = NEW.id;
    DELETE FROM company_overrides WHERE company_id = NEW.id;
    DELETE FROM entitlement_grants WHERE company_id = NEW.id;
    DELETE FROM usage_quotas WHERE company_id = NEW.id;
    DELETE FROM usage_receipts WHERE company_id = NEW.id;
    DELETE FROM usage_alerts WHERE company_id = NEW.id;
    DELETE FROM usage_gauges WHERE company_id = NEW.id;
    DELETE FROM billing_locks WHERE company_id = NEW.id;
    DELETE FROM billing_operations WHERE company_id = NEW.id;
    UPDATE erasure_pseudonym SET name = 'erased:' || lower(hex(randomblob(16))) WHERE id = 1;
    UPDATE entitlement_checks
    SET company_id = (SELECT name FROM erasure_pseudonym WHERE id = 1), user_id = NULL, resource = NULL,
        source_id = CASE WHEN source <> 'grant' THEN source_id END, salt = NULL
    WHERE company_id = NEW.id;
    UPDATE billing_customers
    SET company_id = (SELECT name FROM erasure_pseudonym WHERE id = 1), deleted_at = coalesce(deleted_at, NEW.erased_at)
    WHERE company_id = NEW.id;
    UPDATE billing_invoices
    SET company_id = (SELECT name FROM erasure_pseudonym WHERE id = 1), hosted_url = NULL
    WHERE company_id = NEW.id;
END;

CREATE INDEX billing_customers_by_company ON billing_customers (company_id);
CREATE INDEX billing_operations_by_company ON billing_operations (company_id);

-- An override that goes with its company takes no revision of its own.
DROP TRIGGER company_overrides_removed;

CREATE TRIGGER company_overrides_removed BEFORE DELETE ON company_overrides
WHEN (SELECT erased_revision IS NOT revision FROM companies WHERE id = OLD.company_id)
BEGIN
    UPDATE revision_sequence SET value = value + 1 WHERE id = 1;
    UPDATE companies SET revision = (SELECT value FROM revision_sequence WHERE id = 1) WHERE id = OLD.company_id;
END;
