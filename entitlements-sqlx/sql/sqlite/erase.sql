INSERT INTO companies (id, revision, erased_revision, erased_at)
SELECT $1, value + 1, value + 1, $2
FROM revision_sequence
WHERE id = 1 AND EXISTS (SELECT 1 FROM company_traces WHERE company_id = $1)
ON CONFLICT (id) DO UPDATE
SET revision = excluded.revision, erased_revision = excluded.erased_revision, erased_at = excluded.erased_at
RETURNING revision
