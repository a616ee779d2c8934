FROM revision_sequence
WHERE id = 1
