SELECT json_build_array(
    id, company_id, user_id, feature, actions, resource, amount, kind, starts_at, ends_at, reason, created_at,
    voided_at
)::text
FROM entitlement_grants
WHERE company_id = $1 AND (created_at, id) > ($2, $3)
ORDER BY created_at, id
LIMIT $4
