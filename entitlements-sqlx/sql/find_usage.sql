SELECT sequence, id, company_id, receipt_id, meter, amount, at, state, attempts, tried_at, note
FROM billing_usage_records
WHERE id = $1
