DELETE FROM company_overrides
WHERE company_id = $1 AND feature = $2
RETURNING (SELECT value FROM revision_sequence WHERE id = 1)
