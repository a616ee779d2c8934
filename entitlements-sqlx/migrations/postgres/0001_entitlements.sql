-- Facts about companies, policies, and usage.
--
-- Instants are microseconds since 1970 in UTC. Amounts are whole units, 0 to 2^63 - 1. Texts compare by their bytes.
-- Functions keep the search path of the schema they were made in, so that they find these tables whoever calls them.

-- The one sequence that revisions come out of, and the last one that a policy took.
CREATE TABLE revision_sequence (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL CHECK (value >= 0),
    policies BIGINT NOT NULL CHECK (policies BETWEEN 0 AND value)
);

INSERT INTO revision_sequence (id, value, policies) VALUES (1, 0, 0);

-- Companies that were written to, with the revision of the last write.
CREATE TABLE companies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL CHECK (revision > 0)
);

CREATE TABLE billing_subscriptions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    plan TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    seats BIGINT CHECK (seats >= 0),
    started_at BIGINT NOT NULL,
    anchor BIGINT NOT NULL,
    current_period_start BIGINT NOT NULL,
    current_period_end BIGINT NOT NULL,
    trial_end BIGINT,
    past_due_since BIGINT,
    cancel_at BIGINT,
    cancel_at_period_end BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE INDEX billing_subscriptions_by_company ON billing_subscriptions (company_id);

-- Every state that a subscription has had. Append-only.
CREATE TABLE billing_subscription_history (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    stored_at BIGINT NOT NULL,
    company_id TEXT COLLATE "C" NOT NULL,
    plan TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    seats BIGINT,
    started_at BIGINT NOT NULL,
    anchor BIGINT NOT NULL,
    current_period_start BIGINT NOT NULL,
    current_period_end BIGINT NOT NULL,
    trial_end BIGINT,
    past_due_since BIGINT,
    cancel_at BIGINT,
    cancel_at_period_end BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX billing_subscription_history_by_subscription
    ON billing_subscription_history (subscription_id, sequence);

-- When a subscription changed plans. Append-only.
CREATE TABLE billing_plan_changes (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL,
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    from_plan TEXT COLLATE "C" NOT NULL
);

CREATE INDEX billing_plan_changes_by_company ON billing_plan_changes (company_id, at, sequence);
CREATE INDEX billing_plan_changes_by_subscription ON billing_plan_changes (subscription_id);

CREATE TABLE company_addons (
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    addon TEXT COLLATE "C" NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 0 AND 4294967295),
    revision BIGINT NOT NULL,
    PRIMARY KEY (company_id, addon)
);

CREATE TABLE company_overrides (
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    feature TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL CHECK (value::json IS NOT NULL),
    revision BIGINT NOT NULL,
    PRIMARY KEY (company_id, feature)
);

CREATE TABLE entitlement_grants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    user_id TEXT COLLATE "C",
    feature TEXT COLLATE "C" NOT NULL,
    actions TEXT NOT NULL CHECK (actions::json IS NOT NULL),
    resource TEXT COLLATE "C",
    amount BIGINT CHECK (amount >= 0),
    kind TEXT COLLATE "C" NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    reason TEXT,
    created_at BIGINT NOT NULL,
    voided_at BIGINT,
    revision BIGINT NOT NULL
);

CREATE INDEX entitlement_grants_by_creation ON entitlement_grants (company_id, created_at, id);
CREATE INDEX entitlement_grants_open
    ON entitlement_grants (company_id, (coalesce(ends_at, 9223372036854775807))) WHERE voided_at IS NULL;

CREATE TABLE entitlement_policies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT,
    priority BIGINT NOT NULL,
    effect TEXT COLLATE "C" NOT NULL,
    guardrail BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    target TEXT NOT NULL CHECK (target::json IS NOT NULL),
    -- JSON, or what somebody wrote here: a condition that cannot be read breaks its policy alone.
    condition TEXT,
    revision BIGINT NOT NULL
);

-- Counters of usage. A company needs no row in `companies` to use something. Pages keep room for the next versions of their
-- rows, so that an update need not touch an index.
CREATE TABLE usage_quotas (
    company_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    bucket TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT,
    used BIGINT NOT NULL CHECK (used >= 0),
    PRIMARY KEY (company_id, meter, bucket, period_start)
) WITH (fillfactor = 70);

CREATE INDEX usage_quotas_by_end ON usage_quotas (company_id, (coalesce(period_end, 9223372036854775807)));

-- Every debit that was made. Append-only; a refund is a row of its own.
-- `split` lists, for each counter that received units: meter, bucket, first and last instant of the period, units, units
-- of the counter afterwards, and the thresholds [percent, units] that it crossed.
CREATE TABLE usage_receipts (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY,
    company_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    meter TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    quota_limit BIGINT CHECK (quota_limit >= 0),
    resets_at BIGINT,
    used BIGINT NOT NULL CHECK (used >= 0),
    split JSON NOT NULL,
    PRIMARY KEY (company_id, idempotency_key),
    UNIQUE (company_id, receipt_id)
);

-- Receipts that were given back. Append-only.
CREATE TABLE usage_refunds (
    company_id TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE
);

-- Receipts as they are read.
CREATE VIEW usage_receipt_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter, receipt.amount,
        receipt.at, receipt.split::text, receipt.used, receipt.quota_limit, receipt.resets_at, refund.at
    )::text AS receipt
FROM usage_receipts AS receipt
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = receipt.company_id AND refund.receipt_id = receipt.receipt_id;

-- Alerts that were raised: an outbox, and the memory that a threshold was crossed before.
CREATE TABLE usage_alerts (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY,
    company_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    bucket TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    percent BIGINT NOT NULL,
    threshold BIGINT NOT NULL,
    used BIGINT NOT NULL,
    at BIGINT NOT NULL,
    acknowledged BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (company_id, meter, bucket, period_start, percent, threshold)
);

CREATE INDEX usage_alerts_pending ON usage_alerts (sequence) WHERE NOT acknowledged;

-- Revisions.
--
-- Every statement that changes what a company may do, or a policy, first locks the one row of `revision_sequence`, before it
-- looks for the rows to change, and keeps it until its transaction ends. So:
--
-- * Such writes follow one another, and numbers are taken in the order of the commits. Who sees revision n sees every write
--   up to n: a transaction takes n only after those before it are over. A load is one statement with one view, so its
--   facts and its two revisions agree, and the larger of the two is a revision up to which nothing is missing.
-- * They cannot deadlock: nobody who waits for this lock holds another.
-- * A statement that changes nothing takes no number. (Numbers are written after the row, when it is certain.)
--
-- The statements bring a number of their own, but it may be old: they read it before they waited. The trigger replaces it.
-- Usage takes no revision, and never waits here.

CREATE FUNCTION revision_lock() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM revision_sequence WHERE id = 1 FOR UPDATE;
    RETURN NULL;
END
$$;

CREATE FUNCTION revision_next() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT value + 1 INTO STRICT NEW.revision FROM revision_sequence WHERE id = 1;
    RETURN NEW;
END
$$;

-- The number that this transaction took last.
CREATE FUNCTION revision_taken() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RETURN (SELECT value FROM revision_sequence WHERE id = 1);
END
$$;

CREATE FUNCTION company_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END
$$;

CREATE FUNCTION company_lost() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = value + 1 WHERE id = 1;
    UPDATE companies SET revision = revision_taken() WHERE id = OLD.company_id;
    RETURN OLD;
END
$$;

CREATE FUNCTION policies_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = NEW.revision, policies = NEW.revision WHERE id = 1;
    RETURN NULL;
END
$$;

CREATE FUNCTION policies_lost() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = value + 1, policies = value + 1 WHERE id = 1;
    RETURN OLD;
END
$$;

CREATE TRIGGER billing_subscriptions_locked BEFORE INSERT OR UPDATE OR DELETE ON billing_subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER billing_subscriptions_numbered BEFORE INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER billing_subscriptions_changed AFTER INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER company_addons_locked BEFORE INSERT OR UPDATE OR DELETE ON company_addons
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER company_addons_numbered BEFORE INSERT OR UPDATE ON company_addons
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER company_addons_changed AFTER INSERT OR UPDATE ON company_addons
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER company_overrides_locked BEFORE INSERT OR UPDATE OR DELETE ON company_overrides
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER company_overrides_numbered BEFORE INSERT OR UPDATE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER company_overrides_changed AFTER INSERT OR UPDATE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION company_changed();
CREATE TRIGGER company_overrides_removed BEFORE DELETE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION company_lost();

CREATE TRIGGER entitlement_grants_locked BEFORE INSERT OR UPDATE OR DELETE ON entitlement_grants
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER entitlement_grants_numbered BEFORE INSERT OR UPDATE ON entitlement_grants
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER entitlement_grants_changed AFTER INSERT OR UPDATE ON entitlement_grants
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER entitlement_policies_locked BEFORE INSERT OR UPDATE OR DELETE ON entitlement_policies
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER entitlement_policies_numbered BEFORE INSERT OR UPDATE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER entitlement_policies_changed AFTER INSERT OR UPDATE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION policies_changed();
CREATE TRIGGER entitlement_policies_removed BEFORE DELETE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION policies_lost();

-- A subscription keeps its history in the statement that changes it.

CREATE FUNCTION subscription_remembered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO billing_subscription_history (
        subscription_id, stored_at, company_id, plan, status, seats, started_at, anchor, current_period_start,
        current_period_end, trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
    ) VALUES (
        NEW.id, NEW.stored_at, NEW.company_id, NEW.plan, NEW.status, NEW.seats, NEW.started_at, NEW.anchor,
        NEW.current_period_start, NEW.current_period_end, NEW.trial_end, NEW.past_due_since, NEW.cancel_at,
        NEW.cancel_at_period_end, NEW.created_at
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION plan_change_remembered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO billing_plan_changes (company_id, subscription_id, at, from_plan)
    VALUES (NEW.company_id, NEW.id, NEW.stored_at, OLD.plan);
    RETURN NULL;
END
$$;

CREATE TRIGGER billing_subscriptions_remembered AFTER INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION subscription_remembered();
CREATE TRIGGER billing_subscriptions_plan_changed AFTER UPDATE ON billing_subscriptions
    FOR EACH ROW WHEN (OLD.plan <> NEW.plan) EXECUTE FUNCTION plan_change_remembered();

-- History is not rewritten.

CREATE FUNCTION history_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER billing_plan_changes_kept BEFORE UPDATE ON billing_plan_changes
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER billing_subscription_history_kept BEFORE UPDATE ON billing_subscription_history
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER usage_receipts_kept BEFORE UPDATE ON usage_receipts
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER usage_refunds_kept BEFORE UPDATE ON usage_refunds
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
