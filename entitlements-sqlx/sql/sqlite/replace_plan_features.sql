INSERT INTO billing_plan_feature_set (features) VALUES ($1)
