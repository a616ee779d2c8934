SELECT holder, since
FROM usage_gauge_holders
WHERE company_id = $1 AND gauge = $2 AND holder > $3
ORDER BY holder
LIMIT $4
