SELECT id, company_id, livemode, created_at, deleted_at
FROM billing_customers
WHERE company_id = $1 AND deleted_at IS NULL
