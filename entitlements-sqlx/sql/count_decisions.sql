SELECT count(*), coalesce(sum(octet_length(decision) + octet_length(fence)), 0) FROM entitlement_decisions
