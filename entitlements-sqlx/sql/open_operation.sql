SELECT id, company_id, kind, arguments, begun_at
FROM billing_operations
WHERE company_id = $1 AND kind = $2 AND state = 'open'
