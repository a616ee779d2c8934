SELECT json_build_array(id, name, priority, effect, guardrail, enabled, starts_at, ends_at, target, condition)::text
FROM entitlement_policies
WHERE id = $1
