-- Every part as one JSON array of arrays: one statement, so one view of the database.
-- A counter of zero says nothing: it was given back, or was made to be locked.
SELECT
    coalesce((SELECT revision FROM companies WHERE id = $1), 0),
    (SELECT policies FROM revision_sequence WHERE id = 1),
    coalesce((
        SELECT json_agg(json_build_array(
            id, company_id, plan, status, seats, started_at, anchor, current_period_start, current_period_end,
            trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
        ))::text
        FROM billing_subscriptions
        WHERE company_id = $1
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(subscription_id, at, from_plan) ORDER BY at, sequence)::text
        FROM billing_plan_changes
        WHERE company_id = $1
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(addon, quantity))::text
        FROM company_addons
        WHERE company_id = $1 AND quantity > 0
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(feature, value))::text
        FROM company_overrides
        WHERE company_id = $1
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(
            id, company_id, user_id, feature, actions, resource, amount, kind, starts_at, ends_at, reason,
            created_at, voided_at
        ))::text
        FROM entitlement_grants
        WHERE company_id = $1 AND voided_at IS NULL AND coalesce(ends_at, 9223372036854775807) > $2
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(meter, bucket, period_start, used))::text
        FROM usage_quotas
        WHERE company_id = $1 AND coalesce(period_end, 9223372036854775807) > $2 AND used <> 0
    ), '[]'),
    coalesce((
        SELECT json_agg(json_build_array(gauge, level + holders))::text
        FROM usage_gauges
        WHERE company_id = $1 AND level + holders > 0
    ), '[]')
