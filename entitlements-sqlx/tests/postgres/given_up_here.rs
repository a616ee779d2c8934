//! Callers that give up, at every point where they can, in every write.

use crate::server::InSchema;

crate::given_up::given_up_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    InSchema
);
