SELECT id, company_id, livemode, created_at, deleted_at
FROM billing_customers
WHERE id = $1
