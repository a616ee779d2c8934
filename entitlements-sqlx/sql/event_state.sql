SELECT state
FROM billing_events
WHERE id = $1
