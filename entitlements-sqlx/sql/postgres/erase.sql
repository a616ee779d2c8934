SELECT company_erase($1, $2)
