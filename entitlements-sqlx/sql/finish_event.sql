UPDATE billing_events SET state = $3, note = $4, due_at = $5, finished_at = $6
WHERE id = $1 AND attempts = $2 AND state = 'processing'
RETURNING id
