INSERT INTO company_addons (company_id, addon, quantity, revision)
SELECT $1, $2, $3, value + 1
FROM revision_sequence
WHERE id = 1
ON CONFLICT (company_id, addon) DO UPDATE SET quantity = excluded.quantity, revision = excluded.revision
RETURNING revision
