SELECT
    id, company_id, subscription_id, number, status, billing_reason, currency, total, amount_due, amount_paid,
    attempt_count, next_payment_attempt, period_start, period_end, hosted_url, created_at
FROM billing_invoices
WHERE company_id = $1 AND (created_at, id) < ($2, $3)
ORDER BY created_at DESC, id DESC
LIMIT $4
