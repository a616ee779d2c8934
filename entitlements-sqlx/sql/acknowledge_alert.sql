UPDATE usage_alerts
SET acknowledged = TRUE
WHERE company_id = $1 AND meter = $2 AND bucket = $3 AND period_start = $4 AND percent = $5 AND threshold = $6
