-- Takes units, or takes nothing and returns no row: the key is known, or the units do not fit.
--
-- $10 lists the counters as JSON: bucket number (null for a tally), 1 if the counter is shown, meter, bucket, first and
-- last instant of the period, limit, thresholds. The trigger on `usage_receipts` moves the counters.
INSERT INTO usage_receipts (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
)
