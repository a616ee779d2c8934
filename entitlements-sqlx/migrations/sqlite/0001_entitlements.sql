-- Facts about companies, policies, and usage.
--
-- Instants are microseconds since 1970 in UTC. Amounts are whole units, 0 to 2^63 - 1. Tables are STRICT, so that a number
-- out of range is an error and never becomes a float. Texts compare by their bytes.

-- The one sequence that revisions come out of, and the last one that a policy took.
CREATE TABLE revision_sequence (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL CHECK (value >= 0),
    policies INTEGER NOT NULL CHECK (policies BETWEEN 0 AND value)
) STRICT;

INSERT INTO revision_sequence (id, value, policies) VALUES (1, 0, 0);

-- Companies that were written to, with the revision of the last write.
CREATE TABLE companies (
    id TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL CHECK (revision > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE billing_subscriptions (
    id TEXT NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    plan TEXT NOT NULL,
    status TEXT NOT NULL,
    seats INTEGER CHECK (seats >= 0),
    started_at INTEGER NOT NULL,
    anchor INTEGER NOT NULL,
    current_period_start INTEGER NOT NULL,
    current_period_end INTEGER NOT NULL,
    trial_end INTEGER,
    past_due_since INTEGER,
    cancel_at INTEGER,
    cancel_at_period_end INTEGER NOT NULL CHECK (cancel_at_period_end IN (0, 1)),
    created_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX billing_subscriptions_by_company ON billing_subscriptions (company_id);

-- Every state that a subscription has had. Append-only.
CREATE TABLE billing_subscription_history (
    sequence INTEGER NOT NULL PRIMARY KEY,
    subscription_id TEXT NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    stored_at INTEGER NOT NULL,
    company_id TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL,
    seats INTEGER,
    started_at INTEGER NOT NULL,
    anchor INTEGER NOT NULL,
    current_period_start INTEGER NOT NULL,
    current_period_end INTEGER NOT NULL,
    trial_end INTEGER,
    past_due_since INTEGER,
    cancel_at INTEGER,
    cancel_at_period_end INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX billing_subscription_history_by_subscription
    ON billing_subscription_history (subscription_id, sequence);

-- When a subscription changed plans. Append-only.
CREATE TABLE billing_plan_changes (
    sequence INTEGER NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    from_plan TEXT NOT NULL
) STRICT;

CREATE INDEX billing_plan_changes_by_company ON billing_plan_changes (company_id, at, sequence);
CREATE INDEX billing_plan_changes_by_subscription ON billing_plan_changes (subscription_id);

CREATE TABLE company_addons (
    company_id TEXT NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    addon TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 0 AND 4294967295),
    revision INTEGER NOT NULL,
    PRIMARY KEY (company_id, addon)
) STRICT, WITHOUT ROWID;

CREATE TABLE company_overrides (
    company_id TEXT NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    feature TEXT NOT NULL,
    value TEXT NOT NULL CHECK (json_valid(value)),
    revision INTEGER NOT NULL,
    PRIMARY KEY (company_id, feature)
) STRICT, WITHOUT ROWID;

CREATE TABLE entitlement_grants (
    id TEXT NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    user_id TEXT,
    feature TEXT NOT NULL,
    actions TEXT NOT NULL CHECK (json_valid(actions)),
    resource TEXT,
    amount INTEGER CHECK (amount >= 0),
    kind TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER,
    reason TEXT,
    created_at INTEGER NOT NULL,
    voided_at INTEGER,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX entitlement_grants_by_creation ON entitlement_grants (company_id, created_at, id);
CREATE INDEX entitlement_grants_open
    ON entitlement_grants (company_id, coalesce(ends_at, 9223372036854775807)) WHERE voided_at IS NULL;

CREATE TABLE entitlement_policies (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    priority INTEGER NOT NULL,
    effect TEXT NOT NULL,
    guardrail INTEGER NOT NULL CHECK (guardrail IN (0, 1)),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    starts_at INTEGER,
    ends_at INTEGER,
    target TEXT NOT NULL CHECK (json_valid(target)),
    -- JSON, or what somebody wrote here: a condition that cannot be read breaks its policy alone.
    condition TEXT,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters of usage. A company needs no row in `companies` to use something.
CREATE TABLE usage_quotas (
    company_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    bucket TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER,
    used INTEGER NOT NULL CHECK (used >= 0),
    PRIMARY KEY (company_id, meter, bucket, period_start)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_quotas_by_end ON usage_quotas (company_id, coalesce(period_end, 9223372036854775807));

-- Every debit that was made. Append-only; a refund is a row of its own.
-- `split` lists, for each counter that received units: meter, bucket, first and last instant of the period, units, units
-- of the counter afterwards, and the thresholds [percent, units] that it crossed.
CREATE TABLE usage_receipts (
    sequence INTEGER NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    user_id TEXT,
    meter TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    at INTEGER NOT NULL,
    quota_limit INTEGER CHECK (quota_limit >= 0),
    resets_at INTEGER,
    used INTEGER NOT NULL CHECK (used >= 0),
    split TEXT NOT NULL CHECK (json_valid(split)),
    UNIQUE (company_id, idempotency_key),
    UNIQUE (company_id, receipt_id)
) STRICT;

-- Receipts that were given back. Append-only.
CREATE TABLE usage_refunds (
    company_id TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Alerts that were raised: an outbox, and the memory that a threshold was crossed before.
CREATE TABLE usage_alerts (
    sequence INTEGER NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    bucket TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    used INTEGER NOT NULL,
    at INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
    UNIQUE (company_id, meter, bucket, period_start, percent, threshold)
) STRICT;

CREATE INDEX usage_alerts_pending ON usage_alerts (sequence) WHERE acknowledged = 0;

-- A write that changes what a company may do brings the next revision in its row; the trigger makes it the company's, in
-- the same statement. (What a row is removed from takes its revision before it is gone.)

CREATE TRIGGER billing_subscriptions_inserted AFTER INSERT ON billing_subscriptions
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    INSERT INTO billing_subscription_history (
        subscription_id, stored_at, company_id, plan, status, seats, started_at, anchor, current_period_start,
        current_period_end, trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
    ) VALUES (
        NEW.id, NEW.stored_at, NEW.company_id, NEW.plan, NEW.status, NEW.seats, NEW.started_at, NEW.anchor,
        NEW.current_period_start, NEW.current_period_end, NEW.trial_end, NEW.past_due_since, NEW.cancel_at,
        NEW.cancel_at_period_end, NEW.created_at
    );
END;

CREATE TRIGGER billing_subscriptions_updated AFTER UPDATE ON billing_subscriptions
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    UPDATE companies SET revision = NEW.revision WHERE id = NEW.company_id;
    INSERT INTO billing_subscription_history (
        subscription_id, stored_at, company_id, plan, status, seats, started_at, anchor, current_period_start,
        current_period_end, trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
    ) VALUES (
        NEW.id, NEW.stored_at, NEW.company_id, NEW.plan, NEW.status, NEW.seats, NEW.started_at, NEW.anchor,
        NEW.current_period_start, NEW.current_period_end, NEW.trial_end, NEW.past_due_since, NEW.cancel_at,
        NEW.cancel_at_period_end, NEW.created_at
    );
END;

CREATE TRIGGER billing_subscriptions_plan_changed AFTER UPDATE OF plan ON billing_subscriptions
WHEN OLD.plan <> NEW.plan
BEGIN
    INSERT INTO billing_plan_changes (company_id, subscription_id, at, from_plan)
    VALUES (NEW.company_id, NEW.id, NEW.stored_at, OLD.plan);
END;

CREATE TRIGGER company_addons_inserted AFTER INSERT ON company_addons
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER company_addons_updated AFTER UPDATE ON company_addons
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    UPDATE companies SET revision = NEW.revision WHERE id = NEW.company_id;
END;

CREATE TRIGGER company_overrides_inserted AFTER INSERT ON company_overrides
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER company_overrides_updated AFTER UPDATE ON company_overrides
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    UPDATE companies SET revision = NEW.revision WHERE id = NEW.company_id;
END;

CREATE TRIGGER company_overrides_removed BEFORE DELETE ON company_overrides
BEGIN
    UPDATE revision_sequence SET value = value + 1 WHERE id = 1;
    UPDATE companies SET revision = (SELECT value FROM revision_sequence WHERE id = 1) WHERE id = OLD.company_id;
END;

CREATE TRIGGER entitlement_grants_inserted AFTER INSERT ON entitlement_grants
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER entitlement_grants_voided AFTER UPDATE ON entitlement_grants
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    UPDATE companies SET revision = NEW.revision WHERE id = NEW.company_id;
END;

CREATE TRIGGER entitlement_policies_inserted AFTER INSERT ON entitlement_policies
BEGIN
    UPDATE revision_sequence SET value = NEW.revision, policies = NEW.revision WHERE id = 1;
END;

CREATE TRIGGER entitlement_policies_updated AFTER UPDATE ON entitlement_policies
BEGIN
    UPDATE revision_sequence SET value = NEW.revision, policies = NEW.revision WHERE id = 1;
END;

CREATE TRIGGER entitlement_policies_removed BEFORE DELETE ON entitlement_policies
BEGIN
    UPDATE revision_sequence SET value = value + 1, policies = value + 1 WHERE id = 1;
END;

-- A receipt moves its counters and raises its alerts in the statement that inserts it.
-- As a rule that is one counter without a threshold that was crossed, which needs no list.
CREATE TRIGGER usage_receipts_counted_plainly AFTER INSERT ON usage_receipts
WHEN json_array_length(NEW.split) = 1 AND json_array_length(NEW.split, '$[0][6]') = 0
BEGIN
    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
    VALUES (
        NEW.company_id, NEW.split ->> '$[0][0]', NEW.split ->> '$[0][1]', NEW.split ->> '$[0][2]',
        NEW.split ->> '$[0][3]', NEW.split ->> '$[0][4]'
    )
    ON CONFLICT (company_id, meter, bucket, period_start) DO UPDATE SET used = used + excluded.used;

    -- Apart, so that the index on the end is left alone when the end stays as it is.
    UPDATE usage_quotas SET period_end = NEW.split ->> '$[0][3]'
    WHERE company_id = NEW.company_id AND meter = NEW.split ->> '$[0][0]' AND bucket = NEW.split ->> '$[0][1]'
        AND period_start = NEW.split ->> '$[0][2]' AND period_end IS NOT NEW.split ->> '$[0][3]';
END;

CREATE TRIGGER usage_receipts_counted AFTER INSERT ON usage_receipts
WHEN NOT (json_array_length(NEW.split) = 1 AND json_array_length(NEW.split, '$[0][6]') = 0)
BEGIN
    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, part.value ->> 3, part.value ->> 4
    FROM json_each(NEW.split) AS part
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start) DO UPDATE SET used = used + excluded.used;

    -- Apart, so that the index on the end is left alone when the end stays as it is.
    UPDATE usage_quotas SET period_end = part.value ->> 3
    FROM json_each(NEW.split) AS part
    WHERE company_id = NEW.company_id AND meter = part.value ->> 0 AND bucket = part.value ->> 1
        AND period_start = part.value ->> 2 AND period_end IS NOT part.value ->> 3;

    INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
    SELECT
        NEW.company_id, part.value ->> 0, part.value ->> 1, part.value ->> 2, crossed.value ->> 0,
        crossed.value ->> 1, part.value ->> 5, NEW.at
    FROM json_each(NEW.split) AS part, json_each(part.value, '$[6]') AS crossed
    WHERE true
    ON CONFLICT (company_id, meter, bucket, period_start, percent, threshold) DO NOTHING;
END;

-- A refund takes back what its receipt lists, in the statement that inserts it.
CREATE TRIGGER usage_refunds_counted AFTER INSERT ON usage_refunds
BEGIN
    UPDATE usage_quotas SET used = max(usage_quotas.used - (part.value ->> 4), 0)
    FROM usage_receipts AS receipt, json_each(receipt.split) AS part
    WHERE receipt.company_id = NEW.company_id AND receipt.receipt_id = NEW.receipt_id
        AND usage_quotas.company_id = NEW.company_id AND usage_quotas.meter = part.value ->> 0
        AND usage_quotas.bucket = part.value ->> 1 AND usage_quotas.period_start = part.value ->> 2;
END;

-- History is not rewritten.

CREATE TRIGGER billing_plan_changes_kept BEFORE UPDATE ON billing_plan_changes
BEGIN
    SELECT raise(ABORT, 'billing_plan_changes is append-only');
END;

CREATE TRIGGER billing_subscription_history_kept BEFORE UPDATE ON billing_subscription_history
BEGIN
    SELECT raise(ABORT, 'billing_subscription_history is append-only');
END;

CREATE TRIGGER usage_receipts_kept BEFORE UPDATE ON usage_receipts
BEGIN
    SELECT raise(ABORT, 'usage_receipts is append-only');
END;

CREATE TRIGGER usage_refunds_kept BEFORE UPDATE ON usage_refunds
BEGIN
    SELECT raise(ABORT, 'usage_refunds is append-only');
END;
