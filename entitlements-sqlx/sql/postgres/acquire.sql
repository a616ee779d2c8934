SELECT is_held, is_new, now_used FROM gauge_acquire($1, $2, $3, $4, $5)
