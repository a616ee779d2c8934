UPDATE entitlement_policies
SET name = $2, priority = $3, effect = $4, guardrail = $5, enabled = $6, starts_at = $7, ends_at = $8,
    target = $9, condition = $10, revision = (SELECT value + 1 FROM revision_sequence WHERE id = 1)
WHERE id = $1
RETURNING revision
