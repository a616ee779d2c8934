SELECT fence
FROM billing_locks
WHERE company_id = $1
