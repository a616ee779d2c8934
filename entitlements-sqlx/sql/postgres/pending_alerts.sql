SELECT json_build_array(company_id, meter, bucket, period_start, percent, threshold, used, at)::text
FROM usage_alerts
WHERE NOT acknowledged
ORDER BY sequence
LIMIT $1
