-- Whether somebody holds a unit, and the units used.
SELECT
    EXISTS (SELECT 1 FROM usage_gauge_holders WHERE company_id = $1 AND gauge = $2 AND holder = $3),
    coalesce((SELECT level + holders FROM usage_gauges WHERE company_id = $1 AND gauge = $2), 0)
