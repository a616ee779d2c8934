SELECT receipt FROM usage_receipt_rows WHERE company_id = $1 AND idempotency_key = $2
