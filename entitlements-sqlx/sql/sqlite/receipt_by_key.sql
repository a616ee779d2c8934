SELECT json_array(
    receipt.receipt_id, receipt.company_id, user_id, idempotency_key, meter, amount, receipt.at, split, used,
    quota_limit, resets_at, refund.at
)
FROM usage_receipts AS receipt
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = receipt.company_id AND refund.receipt_id = receipt.receipt_id
WHERE receipt.company_id = $1 AND receipt.idempotency_key = $2
