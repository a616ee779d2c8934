-- The audit log.

-- Every decision. Append-only: entries go only from the beginning, and change only when their company is erased.
-- `sequence` has no gaps; `persons` is a digest of salt, company, user, resource and id of a grant; `hash` is one of the
-- hash before and of all that an erasure leaves.
CREATE TABLE entitlement_checks (
    sequence INTEGER NOT NULL PRIMARY KEY CHECK (sequence > 0),
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    company_id TEXT NOT NULL,
    user_id TEXT,
    feature TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT,
    allowed INTEGER NOT NULL CHECK (allowed IN (0, 1)),
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    source_id TEXT,
    tier TEXT NOT NULL,
    latency_us INTEGER NOT NULL CHECK (latency_us >= 0),
    salt TEXT,
    persons TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

CREATE INDEX entitlement_checks_by_company ON entitlement_checks (company_id, at, sequence);

-- Where the chain begins: after that entry; and where it ends.
CREATE TABLE audit_chain (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    base_sequence INTEGER NOT NULL CHECK (base_sequence >= 0),
    base_hash TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= base_sequence),
    hash TEXT NOT NULL
) STRICT;

INSERT INTO audit_chain (id, base_sequence, base_hash, sequence, hash)
VALUES (
    1, 0, '0000000000000000000000000000000000000000000000000000000000000000',
    0, '0000000000000000000000000000000000000000000000000000000000000000'
);

CREATE TRIGGER entitlement_checks_order_kept BEFORE INSERT ON entitlement_checks
WHEN NEW.sequence <> (SELECT sequence + 1 FROM audit_chain WHERE id = 1)
BEGIN
    SELECT raise(ABORT, 'entitlement_checks has no gaps');
END;

CREATE TRIGGER entitlement_checks_appended AFTER INSERT ON entitlement_checks
BEGIN
    UPDATE audit_chain SET sequence = NEW.sequence, hash = NEW.hash WHERE id = 1;
END;

-- Moving the beginning removes what is before it.
CREATE TRIGGER audit_chain_expired AFTER UPDATE OF base_sequence ON audit_chain
BEGIN
    DELETE FROM entitlement_checks WHERE sequence <= NEW.base_sequence;
END;

CREATE TRIGGER entitlement_checks_removed_kept BEFORE DELETE ON entitlement_checks
WHEN OLD.sequence > (SELECT base_sequence FROM audit_chain WHERE id = 1)
BEGIN
    SELECT raise(ABORT, 'entitlement_checks loses entries only from its beginning');
END;

CREATE TRIGGER entitlement_checks_updated_kept BEFORE UPDATE ON entitlement_checks
WHEN OLD.salt IS NULL OR NEW.salt IS NOT NULL OR NEW.company_id NOT LIKE 'erased:%'
BEGIN
    SELECT raise(ABORT, 'entitlement_checks is append-only');
END;

CREATE TRIGGER entitlement_checks_content_kept
BEFORE UPDATE OF sequence, id, at, feature, action, allowed, reason, source, tier, latency_us, persons, hash
ON entitlement_checks
BEGIN
    SELECT raise(ABORT, 'entitlement_checks is append-only');
END;
