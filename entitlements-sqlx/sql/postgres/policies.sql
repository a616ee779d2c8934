SELECT
    (SELECT policies FROM revision_sequence WHERE id = 1),
    coalesce((
        SELECT json_agg(json_build_array(
            id, name, priority, effect, guardrail, enabled, starts_at, ends_at, target, condition
        ) ORDER BY id)::text
        FROM entitlement_policies
    ), '[]')
