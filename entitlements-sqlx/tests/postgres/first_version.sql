-- Rows for a schema of the first version.
INSERT INTO billing_subscriptions VALUES (
    's', 'acme', 'starter', 'active', 5, 1, 1, 1, 100, NULL, NULL, NULL, FALSE, 1, 1, 0
);
UPDATE billing_subscriptions SET plan = 'pro', stored_at = 2;
INSERT INTO company_addons VALUES ('acme', 'pack', 2, 0);
INSERT INTO company_overrides VALUES ('acme', 'reports', '5', 0);
INSERT INTO entitlement_grants VALUES (
    'g', 'acme', 'u', 'reports', '["view"]', NULL, 10, 'manual', 1, NULL, 'why', 1, NULL, 0
);
INSERT INTO entitlement_policies VALUES ('p', 'name', 1, 'deny', FALSE, TRUE, NULL, NULL, '{}', NULL, 0);
SELECT usage_debit(
    'acme', key, 'receipt of ' || key, 'u', 'reports', 3, 1, 10, NULL,
    ARRAY['reports'], ARRAY['plan/month/calendar'], ARRAY[0::bigint], ARRAY[100::bigint], ARRAY[10::bigint],
    ARRAY[1::bigint], ARRAY[1::bigint], ARRAY[1::bigint], ARRAY[20::bigint], ARRAY[2::bigint]
)
FROM unnest(ARRAY['k', 'l']) AS key;
SELECT usage_refund('acme', 'receipt of l', 2);
