-- The oldest of them, so many at once. A reservation stays while the counters hold its units, which it alone can give back; and
-- what it came to is as old as its end. What has to be reported stays until it was: no other receipt may come to its record.
DELETE FROM usage_receipts
WHERE (company_id, idempotency_key) IN (
    SELECT receipt.company_id, receipt.idempotency_key
    FROM usage_receipts AS receipt
    LEFT JOIN usage_reservations AS reservation
        ON reservation.company_id = receipt.company_id AND reservation.receipt_id = receipt.receipt_id
    LEFT JOIN usage_settlements AS settlement
        ON settlement.company_id = reservation.company_id AND settlement.receipt_id = reservation.receipt_id
    WHERE receipt.at < $1
        AND (reservation.receipt_id IS NULL OR (reservation.freed AND coalesce(settlement.at < $1, true)))
        AND NOT EXISTS (
            SELECT 1
            FROM billing_usage_records AS record
            WHERE record.company_id = receipt.company_id AND record.receipt_id = receipt.receipt_id
                AND record.due_at IS NOT NULL
        )
    ORDER BY receipt.at
    LIMIT $2
)
