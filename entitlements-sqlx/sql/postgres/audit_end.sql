-- The end of the chain, and which of some ids are in it.
SELECT
    sequence,
    hash,
    (
        SELECT coalesce(json_agg(known.id), '[]')::text
        FROM entitlement_checks AS known
        WHERE known.id = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
    )
FROM audit_chain
WHERE audit_chain.id = 1
