-- A part of the chain with its ends: one statement, so one view.
SELECT
    base_sequence,
    base_hash,
    sequence,
    hash,
    (
        SELECT json_group_array(json_array(
            sequence, id, at, company_id, user_id, feature, action, resource, allowed, reason, source, source_id, tier,
            latency_us, salt, persons, hash
        ))
        FROM (SELECT * FROM entitlement_checks WHERE sequence > $1 ORDER BY sequence LIMIT $2) AS part
    )
FROM audit_chain
WHERE id = 1
