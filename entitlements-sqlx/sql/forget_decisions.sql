INSERT INTO entitlement_decision_fences (company_id, scope, mark, used_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (company_id, scope) DO UPDATE
SET mark = excluded.mark, revision = NULL, policies = NULL, asked_at = NULL, used_at = excluded.used_at
