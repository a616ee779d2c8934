UPDATE billing_usage_records SET state = 'refused', note = $2
WHERE id = $1 AND state = 'sent'
RETURNING id
