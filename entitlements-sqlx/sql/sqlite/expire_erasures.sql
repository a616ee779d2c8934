DELETE FROM companies
WHERE erased_at < $1 AND NOT EXISTS (SELECT 1 FROM company_traces WHERE company_id = companies.id)
