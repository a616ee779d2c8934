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
SET base_sequence = next.sequence, base_hash = next.hash
FROM next
WHERE id = 1 AND base_sequence < next.sequence AND next.sequence = (
    SELECT max(sequence)
    FROM next
    WHERE sequence < coalesce((SELECT min(sequence) FROM next WHERE at >= $1), 9223372036854775807)
)
RETURNING base_sequence, base_hash
