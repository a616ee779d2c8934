UPDATE billing_operations SET state = $2, result = $3, finished_at = $4
WHERE id = $1 AND state = 'open'
RETURNING id
