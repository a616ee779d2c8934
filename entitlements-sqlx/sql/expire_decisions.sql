DELETE FROM entitlement_decisions WHERE expires_at <= $1
