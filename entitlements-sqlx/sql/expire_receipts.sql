DELETE FROM usage_receipts
WHERE at < $1
