-- What the provider told us of a customer goes with the company: of the event stays that it arrived, without what was in it.
ALTER TABLE billing_events ADD COLUMN customer_id TEXT;

DROP TRIGGER billing_events_kept;

UPDATE billing_events
SET customer_id = CASE
    WHEN payload ->> '$.data.object.object' = 'customer' THEN payload ->> '$.data.object.id'
    ELSE coalesce(payload ->> '$.data.object.customer.id', payload ->> '$.data.object.customer')
END
WHERE json_valid(payload);

CREATE INDEX billing_events_by_customer ON billing_events (customer_id) WHERE customer_id IS NOT NULL;

CREATE TRIGGER billing_events_kept
    BEFORE UPDATE OF sequence, id, kind, livemode, object_id, created_at, payload, received_at, customer_id ON billing_events
WHEN NOT (
    NEW.payload = '' AND NEW.sequence = OLD.sequence AND NEW.id = OLD.id AND NEW.kind = OLD.kind
    AND NEW.livemode = OLD.livemode AND NEW.object_id IS OLD.object_id AND NEW.created_at = OLD.created_at
    AND NEW.received_at = OLD.received_at AND NEW.customer_id IS OLD.customer_id
    AND EXISTS (SELECT 1 FROM billing_customers WHERE id = OLD.customer_id AND company_id LIKE 'erased:%')
)
BEGIN
    SELECT raise(ABORT, 'what arrived in billing_events never changes');
END;

CREATE TRIGGER billing_customers_erased AFTER UPDATE OF company_id ON billing_customers
WHEN NEW.company_id LIKE 'erased:%'
BEGIN
    UPDATE billing_events SET payload = '', note = NULL WHERE customer_id = NEW.id;
END;

-- What arrives afterwards, too.
CREATE TRIGGER billing_events_of_the_erased AFTER INSERT ON billing_events
WHEN EXISTS (SELECT 1 FROM billing_customers WHERE id = NEW.customer_id AND company_id LIKE 'erased:%')
BEGIN
    UPDATE billing_events SET payload = '' WHERE sequence = NEW.sequence;
END;

UPDATE billing_events SET payload = '', note = NULL
WHERE customer_id IN (SELECT id FROM billing_customers WHERE company_id LIKE 'erased:%');

-- Another process may still have entries of what was before the erasure.
CREATE TRIGGER entitlement_checks_of_the_erased AFTER INSERT ON entitlement_checks
WHEN EXISTS (SELECT 1 FROM companies WHERE id = NEW.company_id AND erased_at > NEW.at)
BEGIN
    UPDATE entitlement_checks
    SET company_id = 'erased:' || lower(hex(randomblob(16))), user_id = NULL, resource = NULL,
        source_id = CASE WHEN source <> 'grant' THEN source_id END, salt = NULL
    WHERE sequence = NEW.sequence;
END;
