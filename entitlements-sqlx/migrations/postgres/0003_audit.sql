-- The audit log.

-- Every decision. Append-only: entries go only from the beginning, and change only when their company is erased.
-- `sequence` has no gaps; `persons` is a digest of salt, company, user, resource and id of a grant; `hash` is one of the
-- hash before and of all that an erasure leaves.
CREATE TABLE entitlement_checks (
    sequence BIGINT NOT NULL PRIMARY KEY CHECK (sequence > 0),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    company_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    feature TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C",
    allowed BOOLEAN NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C",
    tier TEXT COLLATE "C" NOT NULL,
    latency_us BIGINT NOT NULL CHECK (latency_us >= 0),
    salt TEXT COLLATE "C",
    persons TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);

CREATE INDEX entitlement_checks_by_company ON entitlement_checks (company_id, at, sequence);

-- Where the chain begins: after that entry; and where it ends. Who appends moves the end from where it found it, in the
-- statement that inserts the rows; if somebody else was faster, it inserts nothing.
CREATE TABLE audit_chain (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    base_sequence BIGINT NOT NULL CHECK (base_sequence >= 0),
    base_hash TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= base_sequence),
    hash TEXT COLLATE "C" NOT NULL
);

INSERT INTO audit_chain (id, base_sequence, base_hash, sequence, hash)
VALUES (1, 0, repeat('0', 64), 0, repeat('0', 64));

-- Moving the beginning removes what is before it.
CREATE FUNCTION audit_expired() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM entitlement_checks WHERE sequence <= NEW.base_sequence;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_chain_expired AFTER UPDATE OF base_sequence ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION audit_expired();

CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.sequence > (SELECT base_sequence FROM audit_chain WHERE id = 1) THEN
            RAISE 'entitlement_checks loses entries only from its beginning';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.salt IS NULL OR NEW.salt IS NOT NULL OR NOT starts_with(NEW.company_id, 'erased:')
        OR (NEW.sequence, NEW.id, NEW.at, NEW.feature, NEW.action, NEW.allowed, NEW.reason, NEW.source, NEW.tier,
            NEW.latency_us, NEW.persons, NEW.hash)
        IS DISTINCT FROM (OLD.sequence, OLD.id, OLD.at, OLD.feature, OLD.action, OLD.allowed, OLD.reason, OLD.source,
            OLD.tier, OLD.latency_us, OLD.persons, OLD.hash)
    THEN
        RAISE 'entitlement_checks is append-only';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER entitlement_checks_kept BEFORE UPDATE OR DELETE ON entitlement_checks
    FOR EACH ROW EXECUTE FUNCTION audit_kept();
