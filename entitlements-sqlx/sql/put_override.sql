INSERT INTO company_overrides (company_id, feature, value, revision)
SELECT $1, $2, $3, value + 1
FROM revision_sequence
WHERE id = 1
ON CONFLICT (company_id, feature) DO UPDATE SET value = excluded.value, revision = excluded.revision
RETURNING revision
