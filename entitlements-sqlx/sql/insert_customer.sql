INSERT INTO billing_customers (id, company_id, livemode, created_at, deleted_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id, company_id, livemode, created_at, deleted_at
