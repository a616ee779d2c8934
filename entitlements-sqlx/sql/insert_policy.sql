INSERT INTO entitlement_policies (
    id, name, priority, effect, guardrail, enabled, starts_at, ends_at, target, condition, revision
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, value + 1
FROM revision_sequence
WHERE id = 1
ON CONFLICT (id) DO NOTHING
RETURNING revision
