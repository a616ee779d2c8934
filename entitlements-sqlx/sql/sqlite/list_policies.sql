SELECT json_array(id, name, priority, effect, guardrail, enabled, starts_at, ends_at, target, condition)
FROM entitlement_policies
WHERE id > $1
ORDER BY id
LIMIT $2
