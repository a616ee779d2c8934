-- Gives a receipt back, or returns no row: it was given back before, or there is none. A reservation is one when it was
-- committed.
INSERT INTO usage_refunds (company_id, receipt_id, at)
SELECT receipt.company_id, receipt.receipt_id, $3
FROM usage_receipts AS receipt
WHERE receipt.company_id = $1 AND receipt.receipt_id = $2
    AND (
        NOT EXISTS (SELECT 1 FROM usage_reservations WHERE company_id = $1 AND receipt_id = $2)
        OR EXISTS (SELECT 1 FROM usage_settlements WHERE company_id = $1 AND receipt_id = $2 AND amount > 0)
    )
ON CONFLICT (company_id, receipt_id) DO NOTHING
RETURNING (
    SELECT row.receipt
    FROM usage_receipt_rows AS row
    WHERE row.company_id = usage_refunds.company_id AND row.receipt_id = usage_refunds.receipt_id
)
