-- What leads from a billing provider to subscriptions.

-- Companies, as the provider knows them. A deleted customer stays, and makes room for another.
CREATE TABLE billing_customers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);

CREATE UNIQUE INDEX billing_customers_one_per_company ON billing_customers (company_id) WHERE deleted_at IS NULL;

-- Who may write what the provider says about a company. A fence that was given never comes back.
CREATE TABLE billing_locks (
    company_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    fence BIGINT NOT NULL CHECK (fence > 0),
    held_until BIGINT
);

-- What the provider was asked for. Stored before it is asked.
CREATE TABLE billing_operations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    arguments TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed')),
    result TEXT,
    finished_at BIGINT,
    CHECK ((state = 'open') = (finished_at IS NULL))
);

CREATE UNIQUE INDEX billing_operations_one_open ON billing_operations (company_id, kind) WHERE state = 'open';

-- What the provider told us. What arrived never changes; how far it has come does.
CREATE TABLE billing_events (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    object_id TEXT,
    created_at BIGINT NOT NULL,
    payload TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'processing', 'processed', 'failed', 'ignored')),
    attempts BIGINT NOT NULL DEFAULT 0,
    note TEXT,
    due_at BIGINT,
    finished_at BIGINT,
    CHECK ((state IN ('processed', 'ignored')) = (finished_at IS NOT NULL))
);

CREATE INDEX billing_events_open ON billing_events (sequence) WHERE finished_at IS NULL;

CREATE TRIGGER billing_events_kept
    BEFORE UPDATE OF sequence, id, kind, livemode, object_id, created_at, payload, received_at ON billing_events
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();

-- Money is whole minor units of the currency.
CREATE TABLE billing_invoices (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL,
    subscription_id TEXT COLLATE "C",
    number TEXT,
    status TEXT COLLATE "C" NOT NULL,
    billing_reason TEXT COLLATE "C",
    currency TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    amount_due BIGINT NOT NULL,
    amount_paid BIGINT NOT NULL,
    attempt_count BIGINT NOT NULL CHECK (attempt_count BETWEEN 0 AND 4294967295),
    next_payment_attempt BIGINT,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    hosted_url TEXT,
    created_at BIGINT NOT NULL
);

CREATE INDEX billing_invoices_by_creation ON billing_invoices (company_id, created_at, id);

-- A copy of what plans give, for those who read it beside the tables above. Decisions never do.
CREATE TABLE billing_plan_features (
    plan TEXT COLLATE "C" NOT NULL,
    feature TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL CHECK (value::json IS NOT NULL),
    PRIMARY KEY (plan, feature)
);
