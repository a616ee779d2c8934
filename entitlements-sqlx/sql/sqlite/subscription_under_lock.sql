FROM revision_sequence, billing_locks AS held
WHERE revision_sequence.id = 1 AND held.company_id = $2 AND held.fence = $16
