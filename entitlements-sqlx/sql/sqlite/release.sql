DELETE FROM usage_gauge_holders WHERE company_id = $1 AND gauge = $2 AND holder = $3
RETURNING 1
