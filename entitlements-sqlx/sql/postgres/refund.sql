SELECT usage_refund($1, $2, $3)
