-- Inserts the rows that were linked after the end that $1 and $2 name, unless it is no longer the end. Materialized, since
-- otherwise each column would write its row as text again.
WITH part AS MATERIALIZED (SELECT key, value FROM json_each($3))
INSERT INTO entitlement_checks (
    sequence, id, at, company_id, user_id, feature, action, resource, allowed, reason, source, source_id, tier, latency_us,
    salt, persons, hash
)
SELECT
    part.value ->> 0, part.value ->> 1, part.value ->> 2, part.value ->> 3, part.value ->> 4, part.value ->> 5,
    part.value ->> 6, part.value ->> 7, part.value ->> 8, part.value ->> 9, part.value ->> 10, part.value ->> 11,
    part.value ->> 12, part.value ->> 13, part.value ->> 14, part.value ->> 15, part.value ->> 16
FROM part
WHERE EXISTS (SELECT 1 FROM audit_chain WHERE id = 1 AND sequence = $1 AND hash = $2)
ORDER BY part.key
RETURNING sequence
