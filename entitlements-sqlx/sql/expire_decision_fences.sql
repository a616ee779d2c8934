DELETE FROM entitlement_decision_fences
WHERE (company_id, scope) IN (
    SELECT company_id, scope FROM entitlement_decision_fences WHERE used_at <= $1 ORDER BY used_at LIMIT 1000
)
