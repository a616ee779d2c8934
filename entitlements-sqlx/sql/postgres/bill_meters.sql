SELECT usage_meters_billed($1::json)
