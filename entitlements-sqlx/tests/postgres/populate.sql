-- Enough rows that reading all of a table is the worst plan.
INSERT INTO entitlement_policies (id, priority, effect, guardrail, enabled, target, revision)
SELECT 'policy ' || n, n, 'deny', FALSE, TRUE, '{}', 1
FROM generate_series(1, 2000) AS n;

INSERT INTO billing_subscriptions (
    id, company_id, plan, status, started_at, anchor, current_period_start, current_period_end, cancel_at_period_end,
    created_at, stored_at, revision
)
SELECT 'subscription ' || n, 'company ' || n, 'pro', 'active', 1, 1, 1, 2, FALSE, 1, 1, 1
FROM generate_series(1, 2000) AS n;

UPDATE billing_subscriptions SET plan = 'free';

INSERT INTO company_addons (company_id, addon, quantity, revision)
SELECT 'company ' || n, 'pack', 1, 1
FROM generate_series(1, 2000) AS n;

INSERT INTO company_overrides (company_id, feature, value, revision)
SELECT 'company ' || n, 'reports', '5', 1
FROM generate_series(1, 2000) AS n;

INSERT INTO entitlement_grants (id, company_id, feature, actions, kind, starts_at, created_at, revision)
SELECT 'grant ' || n, 'company ' || n % 500, 'forecast', '[]', 'trial', 1, n, 1
FROM generate_series(1, 4000) AS n;

INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
SELECT 'company ' || n % 2000, 'reports', 'plan/month/calendar', n, n + 1, 5
FROM generate_series(1, 10000) AS n;

INSERT INTO usage_receipts (company_id, idempotency_key, receipt_id, meter, amount, at, used, split)
SELECT 'company ' || n % 2000, 'key ' || n, 'receipt ' || n, 'reports', 1, 1, 1, '[]'
FROM generate_series(1, 10000) AS n;

INSERT INTO usage_refunds (company_id, receipt_id, at)
SELECT company_id, receipt_id, 1
FROM usage_receipts
WHERE substr(receipt_id, 9)::bigint % 5 = 0;

INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at, acknowledged)
SELECT 'company ' || n, 'reports', 'plan/month/calendar', 1, 80, 8, 8, 1, n % 100 > 0
FROM generate_series(1, 5000) AS n;

INSERT INTO entitlement_checks (
    sequence, id, at, company_id, feature, action, allowed, reason, source, tier, latency_us, salt, persons, hash
)
SELECT n, 'entry ' || n, n, 'company ' || n % 2000, 'forecast', 'view', FALSE, 'not_granted', 'default', 'store', 1,
    repeat('0', 32), repeat('0', 64), repeat('0', 64)
FROM generate_series(1, 10000) AS n;

UPDATE audit_chain SET sequence = 10000;
INSERT INTO usage_reservations (company_id, receipt_id, expires_at, counters, freed)
SELECT company_id, receipt_id, 1, '[]', substr(receipt_id, 9)::bigint % 100 > 0
FROM usage_receipts
WHERE substr(receipt_id, 9)::bigint % 2 = 0;

INSERT INTO usage_settlements (company_id, receipt_id, at, amount, used, split)
SELECT company_id, receipt_id, 1, 0, 0, '[]'
FROM usage_reservations
WHERE freed;

INSERT INTO billing_customers (id, company_id, livemode, created_at)
SELECT 'cus ' || n, 'company ' || n, FALSE, 0 FROM generate_series(1, 5000) AS n;

INSERT INTO billing_locks (company_id, fence)
SELECT 'company ' || n, 1 FROM generate_series(1, 5000) AS n;

INSERT INTO billing_operations (id, company_id, kind, arguments, begun_at)
SELECT 'op ' || n, 'company ' || n, 'create_subscription', '', 0 FROM generate_series(1, 5000) AS n;

INSERT INTO billing_events (id, kind, livemode, created_at, payload, received_at, state, finished_at)
SELECT 'evt ' || n, 'invoice.paid', FALSE, 0, '{}', 0, 'processed', 0 FROM generate_series(1, 5000) AS n;

INSERT INTO billing_usage_records (id, company_id, receipt_id, meter, amount, at, state, due_at)
SELECT 'use ' || n, 'company ' || n % 50, 'sent ' || n, 'reports', 1, 0,
    CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'sent' END, CASE WHEN n % 100 = 0 THEN 0 END
FROM generate_series(1, 5000) AS n;

INSERT INTO billing_usage_meters (meter) VALUES ('reports');

INSERT INTO billing_invoices (
    id, company_id, status, currency, total, amount_due, amount_paid, attempt_count, period_start, period_end, created_at
)
SELECT 'in ' || n, 'company ' || n % 50, 'paid', 'eur', 0, 0, 0, 0, 0, 0, n FROM generate_series(1, 5000) AS n;

INSERT INTO usage_gauges (company_id, gauge, level, holders)
SELECT 'company ' || n, 'desks', 3, 2
FROM generate_series(1, 4000) AS n;

INSERT INTO usage_gauge_holders (company_id, gauge, holder, since)
SELECT 'company ' || n % 4000 + 1, 'desks', 'holder ' || n, 1
FROM generate_series(1, 8000) AS n;

INSERT INTO entitlement_decision_fences (company_id, scope, mark, used_at)
SELECT 'company ' || n, '', n, n FROM generate_series(1, 10000) AS n;

INSERT INTO entitlement_decisions (company_id, user_id, feature, action, resource, context, fence, decision, expires_at)
SELECT 'company ' || n, '', 'export', 'view', '', '', '', '', n FROM generate_series(1, 10000) AS n;

ANALYZE;
