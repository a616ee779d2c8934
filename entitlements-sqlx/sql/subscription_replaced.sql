ON CONFLICT (id) DO UPDATE SET
    plan = excluded.plan,
    status = excluded.status,
    seats = excluded.seats,
    started_at = excluded.started_at,
    anchor = excluded.anchor,
    current_period_start = excluded.current_period_start,
    current_period_end = excluded.current_period_end,
    trial_end = excluded.trial_end,
    past_due_since = excluded.past_due_since,
    cancel_at = excluded.cancel_at,
    cancel_at_period_end = excluded.cancel_at_period_end,
    created_at = excluded.created_at,
    stored_at = excluded.stored_at,
    revision = excluded.revision
WHERE billing_subscriptions.company_id = excluded.company_id
    AND (
        billing_subscriptions.plan, billing_subscriptions.status, billing_subscriptions.seats,
        billing_subscriptions.started_at, billing_subscriptions.anchor,
        billing_subscriptions.current_period_start, billing_subscriptions.current_period_end,
        billing_subscriptions.trial_end, billing_subscriptions.past_due_since, billing_subscriptions.cancel_at,
        billing_subscriptions.cancel_at_period_end, billing_subscriptions.created_at
    ) IS DISTINCT FROM (
        excluded.plan, excluded.status, excluded.seats, excluded.started_at, excluded.anchor,
        excluded.current_period_start, excluded.current_period_end, excluded.trial_end, excluded.past_due_since,
        excluded.cancel_at, excluded.cancel_at_period_end, excluded.created_at
    )
RETURNING revision
