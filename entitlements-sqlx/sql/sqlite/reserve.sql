-- Sets units aside until $11, or takes nothing and returns no row, as a debit does.
INSERT INTO usage_reserving (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split, expires_at,
    counters
)
SELECT taken.*, $11, $10
FROM (
