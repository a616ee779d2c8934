UPDATE billing_locks SET held_until = NULL
WHERE company_id = $1 AND fence = $2
