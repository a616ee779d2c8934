-- Every part as one JSON array of arrays: one statement, so one view of the database.
SELECT
    coalesce((SELECT revision FROM companies WHERE id = $1), 0),
    (SELECT policies FROM revision_sequence WHERE id = 1),
    (
        SELECT json_group_array(json_array(
            id, company_id, plan, status, seats, started_at, anchor, current_period_start, current_period_end,
            trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
        ))
        FROM billing_subscriptions
        WHERE company_id = $1
    ),
    (
        SELECT json_group_array(json_array(subscription_id, at, from_plan) ORDER BY at, sequence)
        FROM billing_plan_changes
        WHERE company_id = $1
    ),
    (
        SELECT json_group_array(json_array(addon, quantity))
        FROM company_addons
        WHERE company_id = $1 AND quantity > 0
    ),
    (
        SELECT json_group_array(json_array(feature, value))
        FROM company_overrides
        WHERE company_id = $1
    ),
    (
        SELECT json_group_array(json_array(
            id, company_id, user_id, feature, actions, resource, amount, kind, starts_at, ends_at, reason,
            created_at, voided_at
        ))
        FROM entitlement_grants
        WHERE company_id = $1 AND voided_at IS NULL AND coalesce(ends_at, 9223372036854775807) > $2
    ),
    -- What counters hold of reservations that have expired is left out. As a rule that is nothing, and one look into an index.
    CASE
        WHEN EXISTS (
            SELECT 1 FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at <= $2
        ) THEN (
            WITH expired AS MATERIALIZED (
                SELECT
                    part.value ->> 0 AS meter,
                    part.value ->> 1 AS bucket,
                    part.value ->> 2 AS period_start,
                    sum(part.value ->> 4) AS units
                FROM usage_reservations AS reservation
                JOIN usage_receipts AS receipt
                    ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id,
                    json_each(receipt.split) AS part
                WHERE reservation.company_id = $1 AND reservation.freed = 0 AND reservation.expires_at <= $2
                GROUP BY 1, 2, 3
            )
            SELECT json_group_array(json_array(
                quota.meter, quota.bucket, quota.period_start, quota.used - coalesce(expired.units, 0)
            ))
            FROM usage_quotas AS quota
            LEFT JOIN expired
                ON expired.meter = quota.meter AND expired.bucket = quota.bucket
                AND expired.period_start = quota.period_start
            WHERE quota.company_id = $1 AND coalesce(quota.period_end, 9223372036854775807) > $2
        )
        ELSE (
            SELECT json_group_array(json_array(meter, bucket, period_start, used))
            FROM usage_quotas
            WHERE company_id = $1 AND coalesce(period_end, 9223372036854775807) > $2
        )
    END,
    (
        SELECT json_group_array(json_array(gauge, level + holders))
        FROM usage_gauges
        WHERE company_id = $1 AND level + holders > 0
    ),
    (SELECT min(expires_at) FROM usage_reservations WHERE company_id = $1 AND freed = 0 AND expires_at > $2)
