RETURNING used, split
