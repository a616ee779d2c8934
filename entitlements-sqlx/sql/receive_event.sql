INSERT INTO billing_events (id, kind, livemode, object_id, customer_id, created_at, payload, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING state
