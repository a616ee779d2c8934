-- What leads from a billing provider to subscriptions.

-- Companies, as the provider knows them. A deleted customer stays, and makes room for another.
CREATE TABLE billing_customers (
    id TEXT NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    livemode INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX billing_customers_one_per_company ON billing_customers (company_id) WHERE deleted_at IS NULL;

-- Who may write what the provider says about a company. A fence that was given never comes back.
CREATE TABLE billing_locks (
    company_id TEXT NOT NULL PRIMARY KEY,
    fence INTEGER NOT NULL CHECK (fence > 0),
    held_until INTEGER
) STRICT, WITHOUT ROWID;

-- What the provider was asked for. Stored before it is asked.
CREATE TABLE billing_operations (
    id TEXT NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed')),
    result TEXT,
    finished_at INTEGER,
    CHECK ((state = 'open') = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX billing_operations_one_open ON billing_operations (company_id, kind) WHERE state = 'open';

-- What the provider told us. What arrived never changes; how far it has come does.
CREATE TABLE billing_events (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    livemode INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    object_id TEXT,
    created_at INTEGER NOT NULL,
    payload TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'processing', 'processed', 'failed', 'ignored')),
    attempts INTEGER NOT NULL DEFAULT 0,
    note TEXT,
    due_at INTEGER,
    finished_at INTEGER,
    CHECK ((state IN ('processed', 'ignored')) = (finished_at IS NOT NULL))
) STRICT;

CREATE INDEX billing_events_open ON billing_events (sequence) WHERE finished_at IS NULL;

CREATE TRIGGER billing_events_kept
    BEFORE UPDATE OF sequence, id, kind, livemode, object_id, created_at, payload, received_at ON billing_events
BEGIN
    SELECT raise(ABORT, 'what arrived in billing_events never changes');
END;

-- Money is whole minor units of the currency.
CREATE TABLE billing_invoices (
    id TEXT NOT NULL PRIMARY KEY,
    company_id TEXT NOT NULL,
    subscription_id TEXT,
    number TEXT,
    status TEXT NOT NULL,
    billing_reason TEXT,
    currency TEXT NOT NULL,
    total INTEGER NOT NULL,
    amount_due INTEGER NOT NULL,
    amount_paid INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL CHECK (attempt_count BETWEEN 0 AND 4294967295),
    next_payment_attempt INTEGER,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    hosted_url TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX billing_invoices_by_creation ON billing_invoices (company_id, created_at, id);

-- A copy of what plans give, for those who read it beside the tables above. Decisions never do.
CREATE TABLE billing_plan_features (
    plan TEXT NOT NULL,
    feature TEXT NOT NULL,
    value TEXT NOT NULL CHECK (json_valid(value)),
    PRIMARY KEY (plan, feature)
) STRICT, WITHOUT ROWID;

-- Replaces all of them by an array of [plan, feature, value].
CREATE VIEW billing_plan_feature_set AS SELECT NULL AS features WHERE FALSE;

CREATE TRIGGER billing_plan_feature_set_replaced INSTEAD OF INSERT ON billing_plan_feature_set
BEGIN
    DELETE FROM billing_plan_features WHERE plan >= '';
    INSERT INTO billing_plan_features (plan, feature, value)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(NEW.features);
END;
