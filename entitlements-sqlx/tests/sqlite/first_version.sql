-- Rows for a database of the first version.
INSERT INTO billing_subscriptions VALUES (
    's', 'acme', 'starter', 'active', 5, 1, 1, 1, 100, NULL, NULL, NULL, 0, 1, 1, (SELECT value + 1 FROM revision_sequence)
);
UPDATE billing_subscriptions SET plan = 'pro', stored_at = 2, revision = (SELECT value + 1 FROM revision_sequence);
INSERT INTO company_addons VALUES ('acme', 'pack', 2, (SELECT value + 1 FROM revision_sequence));
INSERT INTO company_overrides VALUES ('acme', 'reports', '5', (SELECT value + 1 FROM revision_sequence));
INSERT INTO entitlement_grants VALUES (
    'g', 'acme', 'u', 'reports', '["view"]', NULL, 10, 'manual', 1, NULL, 'why', 1, NULL,
    (SELECT value + 1 FROM revision_sequence)
);
INSERT INTO entitlement_policies VALUES (
    'p', 'name', 1, 'deny', 0, 1, NULL, NULL, '{}', NULL, (SELECT value + 1 FROM revision_sequence)
);
INSERT INTO usage_receipts (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
) VALUES
    ('acme', 'k', 'r', NULL, 'reports', 3, 1, 10, NULL, 3, '[["reports","plan/month/calendar",0,100,3,3,[[20,2]]]]'),
    ('acme', 'l', 'q', 'u', 'reports', 2, 1, 10, NULL, 5, '[["reports","plan/month/calendar",0,100,2,5,[]]]');
INSERT INTO usage_refunds VALUES ('acme', 'q', 2);
