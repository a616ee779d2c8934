-- A part of the chain with its ends: one statement, so one view.
SELECT
    base_sequence,
    base_hash,
    sequence,
    hash,
    (
        SELECT coalesce(json_agg(json_build_array(
            sequence, id, at, company_id, user_id, feature, action, resource, allowed, reason, source, source_id, tier,
            latency_us, salt, persons, hash
        ) ORDER BY sequence), '[]')::text
        FROM (SELECT * FROM entitlement_checks WHERE sequence > $1 ORDER BY sequence LIMIT $2) AS part
    )
FROM audit_chain
WHERE id = 1
