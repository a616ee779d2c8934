INSERT INTO billing_operations (id, company_id, kind, arguments, begun_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id
