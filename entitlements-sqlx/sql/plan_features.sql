SELECT plan, feature, value
FROM billing_plan_features
ORDER BY plan, feature
