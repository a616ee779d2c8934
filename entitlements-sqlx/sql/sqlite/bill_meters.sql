INSERT INTO billing_usage_meter_set (meters) VALUES ($1)
