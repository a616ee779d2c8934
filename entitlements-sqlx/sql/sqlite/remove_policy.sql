DELETE FROM entitlement_policies
WHERE id = $1
RETURNING (SELECT value FROM revision_sequence WHERE id = 1)
