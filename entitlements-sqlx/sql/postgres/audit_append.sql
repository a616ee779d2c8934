-- Inserts the rows that were linked after the end that $1 and $2 name, unless it is no longer the end.
WITH part AS (
    SELECT value, place
    FROM json_array_elements($3::json) WITH ORDINALITY AS element (value, place)
), moved AS (
    UPDATE audit_chain
    SET sequence = (value ->> 0)::bigint, hash = value ->> 16
    FROM part
    WHERE id = 1 AND sequence = $1 AND hash = $2 AND place = (SELECT max(place) FROM part)
    RETURNING 1
)
INSERT INTO entitlement_checks (
    sequence, id, at, company_id, user_id, feature, action, resource, allowed, reason, source, source_id, tier, latency_us,
    salt, persons, hash
)
SELECT
    (value ->> 0)::bigint, value ->> 1, (value ->> 2)::bigint, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, (value ->> 8)::bigint = 1, value ->> 9, value ->> 10, value ->> 11, value ->> 12, (value ->> 13)::bigint,
    value ->> 14, value ->> 15, value ->> 16
FROM part, moved
RETURNING sequence
