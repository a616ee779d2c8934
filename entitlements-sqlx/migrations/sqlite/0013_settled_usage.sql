-- Usage with which nothing is left to do, by its age: what is settled only after its receipt has expired does not go with that
-- receipt, and is found here.

CREATE INDEX billing_usage_records_settled ON billing_usage_records (at) WHERE due_at IS NULL;
