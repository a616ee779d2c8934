-- Gives a unit to a holder, or returns no row: the holder has one, or there is no room. The trigger counts the holder before
-- its row is there, so the row shows the number with it.
INSERT INTO usage_gauge_holders (company_id, gauge, holder, since)
SELECT $1, $2, $3, $5
WHERE NOT EXISTS (SELECT 1 FROM usage_gauge_holders WHERE company_id = $1 AND gauge = $2 AND holder = $3)
    AND coalesce((SELECT level + holders FROM usage_gauges WHERE company_id = $1 AND gauge = $2), 0)
        < coalesce($4, 9223372036854775807)
RETURNING (SELECT level + holders FROM usage_gauges WHERE company_id = $1 AND gauge = $2)
