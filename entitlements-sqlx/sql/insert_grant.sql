INSERT INTO entitlement_grants (
    id, company_id, user_id, feature, actions, resource, amount, kind, starts_at, ends_at, reason, created_at,
    voided_at, revision
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, value + 1
FROM revision_sequence
WHERE id = 1
ON CONFLICT (id) DO NOTHING
RETURNING revision
