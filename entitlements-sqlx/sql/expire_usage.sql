-- The oldest with which nothing is left to do, so many at once. As a rule records go with their receipts; these were still open
-- when theirs went: with the retention of an earlier version, or since they were given back at the same instant.
DELETE FROM billing_usage_records
WHERE sequence IN (
    SELECT record.sequence
    FROM billing_usage_records AS record
    WHERE record.due_at IS NULL AND record.at < $1
    ORDER BY record.at
    LIMIT $2
)
