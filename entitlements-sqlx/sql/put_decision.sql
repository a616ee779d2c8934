INSERT INTO entitlement_decisions (
    company_id, user_id, feature, action, resource, context, fence, decision, expires_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (company_id, user_id, feature, action, resource, context) DO UPDATE
SET fence = excluded.fence, decision = excluded.decision, expires_at = excluded.expires_at
