SELECT
    id, kind, livemode, object_id, customer_id, created_at, payload, received_at, state, attempts, note, due_at,
    finished_at
FROM billing_events
WHERE id = $1
