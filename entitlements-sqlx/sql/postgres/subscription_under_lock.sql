-- The row of the lock is read again when it can be locked, so that nobody takes it in between.
FROM revision_sequence, billing_locks AS held
WHERE revision_sequence.id = 1 AND held.company_id = $2 AND held.fence = $16
FOR SHARE OF held
