SELECT base_sequence, base_hash
FROM audit_chain
WHERE id = 1
