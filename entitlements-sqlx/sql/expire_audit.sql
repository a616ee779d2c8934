-- Moves the beginning of the chain over the entries after it that are older, so many at once, up to the first that is not;
-- nothing is returned if it stays.
WITH next AS (
    SELECT sequence, hash, at
    FROM entitlement_checks
    WHERE sequence > (SELECT base_sequence FROM audit_chain WHERE id = 1)
    ORDER BY sequence
    LIMIT $2
)
UPDATE audit_chain
SET base_sequence = last.sequence, base_hash = last.hash
FROM (
    SELECT sequence, hash
    FROM next
    WHERE sequence < coalesce((SELECT min(sequence) FROM next WHERE at >= $1), 9223372036854775807)
    ORDER BY sequence DESC
    LIMIT 1
) AS last
WHERE id = 1 AND base_sequence < last.sequence
RETURNING base_sequence, base_hash
