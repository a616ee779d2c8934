SELECT gauge_release($1, $2, $3)
