SELECT json_build_array(
    id, company_id, plan, status, seats, started_at, anchor, current_period_start, current_period_end, trial_end,
    past_due_since, cancel_at, cancel_at_period_end, created_at
)::text
FROM billing_subscriptions
WHERE id = $1
