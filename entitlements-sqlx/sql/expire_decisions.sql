DELETE FROM entitlement_decisions
WHERE (company_id, user_id, feature, action, resource, context) IN (
    SELECT company_id, user_id, feature, action, resource, context
    FROM entitlement_decisions
    WHERE expires_at <= $1
    ORDER BY expires_at
    LIMIT 1000
)
