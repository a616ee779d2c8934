SELECT is_new, reserved FROM usage_settle($1, $2, $3, $4)
