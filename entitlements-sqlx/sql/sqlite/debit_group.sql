-- Makes several debits. $2 lists them as JSON: key, receipt, user, meter, units, instant, limit, end of the period, counters. It
-- returns for each its place, 1 if it was made just now, and what its key names.
INSERT INTO usage_grouping (
    company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, counters, place, newest,
    latest
)
SELECT
    $1, event.value ->> 0, event.value ->> 1, event.value ->> 2, event.value ->> 3, event.value ->> 4, event.value ->> 5,
    event.value ->> 6, event.value ->> 7, event.value ->> 8, event.key,
    (SELECT coalesce(max(sequence), 0) FROM usage_receipts),
    (SELECT max(each.value ->> 5) FROM json_each($2) AS each)
FROM json_each($2) AS event
RETURNING
    place,
    newest < (
        SELECT sequence
        FROM usage_receipts AS receipt
        WHERE receipt.company_id = usage_grouping.company_id
            AND receipt.idempotency_key = usage_grouping.idempotency_key
    ),
    (
        SELECT row.receipt
        FROM usage_receipt_rows AS row
        WHERE row.company_id = usage_grouping.company_id
            AND row.idempotency_key = usage_grouping.idempotency_key
    )
