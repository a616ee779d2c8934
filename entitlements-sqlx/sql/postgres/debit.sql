-- What has expired is freed first; as a rule that is nothing, and one look into an index.
SELECT debit.now_used, debit.taken, debit.known
FROM (
    SELECT coalesce(
        CASE
            WHEN EXISTS (
                SELECT FROM usage_reservations WHERE company_id = $1 AND NOT freed AND expires_at <= $7
            ) THEN usage_free($1, $7, $10, $11, $12, $13)
        END,
        $7
    ) AS instant
) AS freed
CROSS JOIN LATERAL usage_debit(
    $1, $2, $3, $4, $5, $6, freed.instant, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
) AS debit
