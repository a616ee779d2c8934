SELECT subscription.company_id, company.revision
FROM billing_subscriptions AS subscription
JOIN companies AS company ON company.id = subscription.company_id
WHERE subscription.id = $1
