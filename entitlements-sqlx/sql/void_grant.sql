UPDATE entitlement_grants
SET voided_at = $2, revision = (SELECT value + 1 FROM revision_sequence WHERE id = 1)
WHERE id = $1 AND voided_at IS NULL
RETURNING revision
