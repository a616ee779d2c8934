WITH given AS (
    SELECT value ->> 0 AS plan, value ->> 1 AS feature, value ->> 2 AS value
    FROM json_array_elements($1::json)
),
gone AS (
    DELETE FROM billing_plan_features AS known
    WHERE NOT EXISTS (
        SELECT FROM given WHERE given.plan = known.plan AND given.feature = known.feature
    )
)
INSERT INTO billing_plan_features (plan, feature, value)
SELECT plan, feature, value FROM given
ON CONFLICT (plan, feature) DO UPDATE SET value = excluded.value
