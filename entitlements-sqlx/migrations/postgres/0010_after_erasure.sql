-- What the provider told us of a customer goes with the company: of the event stays that it arrived, without what was in it.
ALTER TABLE billing_events ADD COLUMN customer_id TEXT COLLATE "C";

DROP TRIGGER billing_events_kept ON billing_events;

-- Of those that arrived before. What cannot be read names nobody.
CREATE FUNCTION billing_event_customer(payload text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    object json;
BEGIN
    object := payload::json -> 'data' -> 'object';
    RETURN CASE
        WHEN object ->> 'object' = 'customer' THEN object ->> 'id'
        WHEN json_typeof(object -> 'customer') = 'object' THEN object -> 'customer' ->> 'id'
        ELSE object ->> 'customer'
    END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;

UPDATE billing_events SET customer_id = billing_event_customer(payload);
DROP FUNCTION billing_event_customer;

CREATE INDEX billing_events_by_customer ON billing_events (customer_id) WHERE customer_id IS NOT NULL;

CREATE FUNCTION billing_event_kept() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.payload = '' AND (
        NEW.sequence, NEW.id, NEW.kind, NEW.livemode, NEW.object_id, NEW.created_at, NEW.received_at, NEW.customer_id
    ) IS NOT DISTINCT FROM (
        OLD.sequence, OLD.id, OLD.kind, OLD.livemode, OLD.object_id, OLD.created_at, OLD.received_at, OLD.customer_id
    ) AND EXISTS (SELECT FROM billing_customers WHERE id = OLD.customer_id AND company_id LIKE 'erased:%') THEN
        RETURN NEW;
    END IF;
    RAISE 'what arrived in billing_events never changes';
END
$$;

CREATE TRIGGER billing_events_kept
    BEFORE UPDATE OF sequence, id, kind, livemode, object_id, created_at, payload, received_at, customer_id ON billing_events
    FOR EACH ROW EXECUTE FUNCTION billing_event_kept();

CREATE FUNCTION billing_customer_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE billing_events SET payload = '', note = NULL WHERE customer_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER billing_customers_erased AFTER UPDATE OF company_id ON billing_customers
    FOR EACH ROW WHEN (NEW.company_id LIKE 'erased:%') EXECUTE FUNCTION billing_customer_erased();

-- What arrives afterwards, too.
CREATE FUNCTION billing_event_of_the_erased() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_customers WHERE id = NEW.customer_id AND company_id LIKE 'erased:%') THEN
        NEW.payload := '';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER billing_events_of_the_erased BEFORE INSERT ON billing_events
    FOR EACH ROW WHEN (NEW.customer_id IS NOT NULL) EXECUTE FUNCTION billing_event_of_the_erased();

UPDATE billing_events SET payload = '', note = NULL
WHERE customer_id IN (SELECT id FROM billing_customers WHERE company_id LIKE 'erased:%');

-- Another process may still have entries of what was before the erasure.
CREATE FUNCTION audit_entry_of_the_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM companies WHERE id = NEW.company_id AND erased_at > NEW.at) THEN
        NEW.company_id := concat('erased:', replace(gen_random_uuid()::text, '-', ''));
        NEW.user_id := NULL;
        NEW.resource := NULL;
        NEW.source_id := CASE WHEN NEW.source <> 'grant' THEN NEW.source_id END;
        NEW.salt := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER entitlement_checks_of_the_erased BEFORE INSERT ON entitlement_checks
    FOR EACH ROW EXECUTE FUNCTION audit_entry_of_the_erased();
