UPDATE billing_events SET state = 'processing', attempts = attempts + 1, due_at = $2
WHERE id = $1 AND finished_at IS NULL AND (due_at IS NULL OR due_at <= $3)
RETURNING
    id, kind, livemode, object_id, customer_id, created_at, payload, received_at, state, attempts, note, due_at,
    finished_at
