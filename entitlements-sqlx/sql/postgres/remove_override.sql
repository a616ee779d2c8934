DELETE FROM company_overrides
WHERE company_id = $1 AND feature = $2
RETURNING revision_taken()
