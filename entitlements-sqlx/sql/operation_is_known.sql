SELECT id
FROM billing_operations
WHERE id = $1
