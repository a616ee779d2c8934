SELECT receipt FROM usage_receipt_rows WHERE company_id = $1 AND receipt_id = $2
