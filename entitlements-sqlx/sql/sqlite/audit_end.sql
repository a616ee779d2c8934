-- The end of the chain, and which of some ids are in it.
SELECT
    sequence,
    hash,
    (
        SELECT json_group_array(known.id)
        FROM json_each($1) AS asked
        JOIN entitlement_checks AS known ON known.id = asked.value
    )
FROM audit_chain
WHERE audit_chain.id = 1
