-- Gives a receipt back, or returns no row: it was given back before, or there is none.
INSERT INTO usage_refunds (company_id, receipt_id, at)
SELECT company_id, receipt_id, $3
FROM usage_receipts
WHERE company_id = $1 AND receipt_id = $2
ON CONFLICT (company_id, receipt_id) DO NOTHING
RETURNING (
    SELECT json_array(
        receipt.receipt_id, receipt.company_id, user_id, idempotency_key, meter, amount, receipt.at, split, used,
        quota_limit, resets_at, usage_refunds.at
    )
    FROM usage_receipts AS receipt
    WHERE receipt.company_id = usage_refunds.company_id AND receipt.receipt_id = usage_refunds.receipt_id
)
