SELECT json_array(company_id, meter, bucket, period_start, percent, threshold, used, at)
FROM usage_alerts
WHERE acknowledged = 0
ORDER BY sequence
LIMIT $1
