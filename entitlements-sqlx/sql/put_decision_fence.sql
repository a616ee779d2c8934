INSERT INTO entitlement_decision_fences AS fence (company_id, scope, mark, revision, policies, asked_at, used_at)
SELECT $1, '', $2, $4, $5, $6, $7
WHERE $3 = '' OR EXISTS (SELECT 1 FROM entitlement_decision_fences WHERE company_id = $1 AND scope = '')
ON CONFLICT (company_id, scope) DO UPDATE
SET
    revision = excluded.revision,
    policies = excluded.policies,
    asked_at = CASE
        WHEN fence.revision = excluded.revision AND fence.policies = excluded.policies
            AND fence.asked_at > excluded.asked_at
        THEN fence.asked_at
        ELSE excluded.asked_at
    END,
    used_at = excluded.used_at
WHERE fence.mark = $3
    AND (fence.revision IS NULL OR (fence.revision <= excluded.revision AND fence.policies <= excluded.policies))
RETURNING mark
