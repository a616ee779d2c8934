INSERT INTO billing_subscriptions (
    id, company_id, plan, status, seats, started_at, anchor, current_period_start, current_period_end,
    trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at, stored_at, revision
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, value + 1
