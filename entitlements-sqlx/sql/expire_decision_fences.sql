DELETE FROM entitlement_decision_fences WHERE used_at <= $1
