-- Sets a level, or returns no row: it is higher than before and does not fit. A gauge without a row has nothing held of it.
INSERT INTO usage_gauges AS gauge (company_id, gauge, level)
SELECT $1, $2, $3
WHERE $3 <= coalesce($4, 9223372036854775807)
    OR EXISTS (SELECT 1 FROM usage_gauges WHERE company_id = $1 AND gauge = $2)
ON CONFLICT (company_id, gauge) DO UPDATE SET level = excluded.level
WHERE excluded.level <= gauge.level
    OR excluded.level <= coalesce($4, 9223372036854775807) - gauge.holders
RETURNING level + holders
