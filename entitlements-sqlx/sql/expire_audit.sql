-- Moves the beginning of the chain to the last entry before the first that is not older; nothing is returned if it stays.
UPDATE audit_chain
SET base_sequence = last.sequence, base_hash = last.hash
FROM (
    SELECT sequence, hash
    FROM entitlement_checks
    WHERE sequence < coalesce(
        (SELECT sequence FROM entitlement_checks WHERE at >= $1 ORDER BY sequence LIMIT 1), 9223372036854775807
    )
    ORDER BY sequence DESC
    LIMIT 1
) AS last
WHERE id = 1 AND base_sequence < last.sequence
RETURNING base_sequence, base_hash
