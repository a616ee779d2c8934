SELECT reservation FROM usage_reservation_rows WHERE company_id = $1 AND idempotency_key = $2
