-- Decisions that processes share. Nothing here is the truth: all of it may be removed at any time.

-- What a decision was put under, and so what forgets it. `company_id` is empty for all companies; `scope` is empty for
-- everything of the company, `u:` and a user, or `f:` and a feature. A mark is random, so it never comes back. The row of a
-- company also says which of its facts are the newest that anybody has loaded; revisions are 20 digits.
CREATE TABLE entitlement_decision_fences (
    company_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    mark TEXT NOT NULL,
    revision TEXT,
    policies TEXT,
    asked_at INTEGER,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (company_id, scope)
) STRICT, WITHOUT ROWID;

CREATE INDEX entitlement_decision_fences_by_use ON entitlement_decision_fences (used_at);

-- The parts of the question that may be missing are empty then. A decision counts while its fence is that of now.
CREATE TABLE entitlement_decisions (
    company_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    feature TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    context TEXT NOT NULL,
    fence TEXT NOT NULL,
    decision TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (company_id, user_id, feature, action, resource, context)
) STRICT;

CREATE INDEX entitlement_decisions_by_end ON entitlement_decisions (expires_at);

-- They go with their company.
CREATE TRIGGER companies_erased_decisions AFTER UPDATE OF erased_revision ON companies
WHEN NEW.erased_revision = NEW.revision
BEGIN
    DELETE FROM entitlement_decisions WHERE company_id = NEW.id;
    DELETE FROM entitlement_decision_fences WHERE company_id = NEW.id;
END;
