SELECT erasures_expire($1)
