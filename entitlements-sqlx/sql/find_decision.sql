SELECT
    coalesce(everything.mark, ''), coalesce(feature_of_all.mark, ''), company.mark, coalesce(of_user.mark, ''),
    coalesce(of_feature.mark, ''), company.revision, company.policies, company.asked_at, decision.fence, decision.decision
FROM (SELECT 1) AS question
LEFT JOIN entitlement_decision_fences AS everything ON everything.company_id = '' AND everything.scope = ''
LEFT JOIN entitlement_decision_fences AS feature_of_all ON feature_of_all.company_id = '' AND feature_of_all.scope = $3
LEFT JOIN entitlement_decision_fences AS company ON company.company_id = $1 AND company.scope = ''
LEFT JOIN entitlement_decision_fences AS of_user ON of_user.company_id = $1 AND of_user.scope = $2
LEFT JOIN entitlement_decision_fences AS of_feature ON of_feature.company_id = $1 AND of_feature.scope = $3
LEFT JOIN entitlement_decisions AS decision
    ON decision.company_id = $1 AND decision.user_id = $4 AND decision.feature = $5 AND decision.action = $6
    AND decision.resource = $7 AND decision.context = $8 AND decision.expires_at > $9
