SELECT json_build_array(
    id, company_id, user_id, feature, actions, resource, amount, kind, starts_at, ends_at, reason, created_at,
    voided_at
)::text
FROM entitlement_grants
WHERE id = $1
