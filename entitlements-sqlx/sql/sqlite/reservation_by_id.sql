SELECT reservation FROM usage_reservation_rows WHERE company_id = $1 AND receipt_id = $2
