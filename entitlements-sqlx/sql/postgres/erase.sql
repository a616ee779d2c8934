SELECT revision FROM company_erase($1, $2) AS erased (revision) WHERE revision IS NOT NULL
