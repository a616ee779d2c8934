-- Moves the beginning of the chain over the entries after it that are older than $1, so many at once, up to the first that is
-- not; nothing is returned if it stays. What is of after $3 is as old as the first behind it that is not.
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
    WHERE sequence < coalesce(
            (SELECT min(sequence) FROM next WHERE at >= $1 AND at <= $3), 9223372036854775807
        )
        AND (
            at < $1
            -- All of them but what is old are of later: what follows tells.
            OR (SELECT min(sequence) FROM next WHERE at >= $1 AND at <= $3) IS NULL AND (
                SELECT behind.at < $1
                FROM entitlement_checks AS behind
                WHERE behind.sequence > (SELECT max(sequence) FROM next) AND behind.at <= $3
                ORDER BY behind.sequence
                LIMIT 1
            )
        )
)
RETURNING base_sequence, base_hash
