) AS taken
WHERE true
RETURNING used, split
