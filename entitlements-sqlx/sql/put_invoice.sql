INSERT INTO billing_invoices (
    id, company_id, subscription_id, number, status, billing_reason, currency, total, amount_due, amount_paid,
    attempt_count, next_payment_attempt, period_start, period_end, hosted_url, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (id) DO UPDATE SET
    subscription_id = excluded.subscription_id,
    number = excluded.number,
    status = excluded.status,
    billing_reason = excluded.billing_reason,
    currency = excluded.currency,
    total = excluded.total,
    amount_due = excluded.amount_due,
    amount_paid = excluded.amount_paid,
    attempt_count = excluded.attempt_count,
    next_payment_attempt = excluded.next_payment_attempt,
    period_start = excluded.period_start,
    period_end = excluded.period_end,
    hosted_url = excluded.hosted_url,
    created_at = excluded.created_at
WHERE billing_invoices.company_id = excluded.company_id
RETURNING id
