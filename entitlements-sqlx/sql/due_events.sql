SELECT id
FROM billing_events
WHERE finished_at IS NULL AND received_at < $1 AND (due_at IS NULL OR due_at <= $2)
ORDER BY sequence
LIMIT $3
