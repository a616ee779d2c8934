-- The first fence is the instant: a lock that was given before the company was erased is none of those after it.
INSERT INTO billing_locks (company_id, fence, held_until) VALUES ($1, $3, $2)
ON CONFLICT (company_id) DO UPDATE SET fence = billing_locks.fence + 1, held_until = excluded.held_until
WHERE billing_locks.held_until IS NULL OR billing_locks.held_until <= $3
RETURNING fence
