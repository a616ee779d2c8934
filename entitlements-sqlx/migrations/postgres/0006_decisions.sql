-- Decisions that processes share. Nothing here is the truth: all of it may be removed at any time.

-- What a decision was put under, and so what forgets it. `company_id` is empty for all companies; `scope` is empty for
-- everything of the company, `u:` and a user, or `f:` and a feature. A mark is random, so it never comes back. The row of a
-- company also says which of its facts are the newest that anybody has loaded; revisions are 20 digits.
CREATE TABLE entitlement_decision_fences (
    company_id TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    mark TEXT COLLATE "C" NOT NULL,
    revision TEXT COLLATE "C",
    policies TEXT COLLATE "C",
    asked_at BIGINT,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (company_id, scope)
);

CREATE INDEX entitlement_decision_fences_by_use ON entitlement_decision_fences (used_at);

-- The parts of the question that may be missing are empty then. A decision counts while its fence is that of now.
CREATE TABLE entitlement_decisions (
    company_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    context TEXT COLLATE "C" NOT NULL,
    fence TEXT NOT NULL,
    decision TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (company_id, user_id, feature, action, resource, context)
);

CREATE INDEX entitlement_decisions_by_end ON entitlement_decisions (expires_at);

-- They go with their company.
CREATE FUNCTION company_decisions_erased() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    DELETE FROM entitlement_decisions WHERE company_id = NEW.id;
    DELETE FROM entitlement_decision_fences WHERE company_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER companies_erased_decisions AFTER INSERT OR UPDATE OF erased_revision ON companies
    FOR EACH ROW WHEN (NEW.erased_revision = NEW.revision) EXECUTE FUNCTION company_decisions_erased();
