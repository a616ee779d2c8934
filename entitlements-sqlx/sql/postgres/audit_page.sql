SELECT json_build_array(
    sequence, id, at, company_id, user_id, feature, action, resource, allowed, reason, source, source_id, tier, latency_us,
    salt, persons, hash
)::text
FROM entitlement_checks
WHERE company_id = $1 AND (at, sequence) < ($2, $3)
ORDER BY at DESC, sequence DESC
LIMIT $4
