SELECT
    (SELECT policies FROM revision_sequence WHERE id = 1),
    (
        SELECT json_group_array(json_array(
            id, name, priority, effect, guardrail, enabled, starts_at, ends_at, target, condition
        ) ORDER BY id)
        FROM entitlement_policies
    )
