DELETE FROM entitlement_policies
WHERE id = $1
RETURNING revision_taken()
