//! Tokens: signed statements of who asks. JWT with HS256, and no other algorithm.

use std::fmt;

use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role};
use crate::hs256;

/// Signs tokens and reads them.
pub(crate) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    company: CompanyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// Seconds since the Unix epoch. Checked before the claims are read.
    exp: serde_json::Number,
}

/// Why a token is not accepted. It says nothing that helps to forge one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed,
    Algorithm,
    Signature,
    Expired,
    NotYet,
    Claims,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Algorithm => "the token is not signed with HS256",
            Self::Signature => "the signature does not match",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Claims => "the token must have the claims sub, company and exp",
        })
    }
}

impl Tokens {
    pub(crate) fn new(secret: &SecretString) -> Self {
        hs256::install();
        let secret = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = 0;
        // A token is no longer valid at the very second of its `exp`.
        validation.reject_tokens_expiring_in_less_than = 1;
        validation.validate_nbf = true;
        // The claim is not one of those that mean something here.
        validation.validate_aud = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for `caller`, until `expires`.
    pub(crate) fn issue(
        &self,
        caller: &Caller,
        expires: DateTime<Utc>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: caller.user.clone(),
            company: caller.company.clone(),
            role: Some(caller.role.as_str().into()),
            exp: expires.timestamp().into(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
    }

    /// Who presents the token. It must be valid by the machine's own clock, whatever the platform's clock shows.
    pub(crate) fn read(&self, token: &str) -> Result<Caller, Refused> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation)
            .map_err(|error| refused(error.kind(), token))?;
        // RFC 7515: what is marked as critical must be understood, and nothing is.
        if data.header.crit.is_some() {
            return Err(Refused::Malformed);
        }
        let Claims { sub, company, role, .. } = data.claims;
        let role = role.as_deref().and_then(Role::named).unwrap_or(Role::Member);
        Ok(Caller { company, user: sub, role })
    }
}

fn refused(kind: &ErrorKind, token: &str) -> Refused {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refused::Algorithm,
        ErrorKind::InvalidSignature => Refused::Signature,
        ErrorKind::ExpiredSignature => Refused::Expired,
        ErrorKind::ImmatureSignature => Refused::NotYet,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Refused::Claims,
        // The header is read first: what follows it can only be the claims.
        ErrorKind::Json(_) if jsonwebtoken::decode_header(token).is_ok() => Refused::Claims,
        _ => Refused::Malformed,
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a secret of more than thirty-two bytes";

    fn tokens() -> Tokens {
        Tokens::new(&SecretString::from(SECRET))
    }

    fn signed(claims: &Value) -> String {
        let tokens = tokens();
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &tokens.signing).unwrap()
    }

    fn soon() -> u64 {
        jsonwebtoken::get_current_timestamp() + 600
    }

    #[test]
    fn a_token_says_who_asks() {
        let token = signed(&json!({"sub": "ada", "company": "acme", "role": "admin", "exp": soon()}));
        let caller = tokens().read(&token).unwrap();
        assert_eq!(
            (caller.user.as_str(), caller.company.as_str(), caller.role),
            ("ada", "acme", Role::Admin)
        );
    }

    #[test]
    fn without_a_role_that_is_known_the_caller_is_a_member() {
        for role in [json!(null), json!("root"), json!("Admin"), json!("")] {
            let token = signed(&json!({"sub": "ada", "company": "acme", "role": role, "exp": soon()}));
            assert_eq!(tokens().read(&token).unwrap().role, Role::Member, "{role}");
        }
        let token = signed(&json!({"sub": "ada", "company": "acme", "exp": soon()}));
        assert_eq!(tokens().read(&token).unwrap().role, Role::Member);
    }

    #[test]
    fn sub_company_and_exp_are_required_and_checked() {
        for claims in [
            json!({"company": "acme", "exp": soon()}),
            json!({"sub": "ada", "exp": soon()}),
            json!({"sub": "ada", "company": "acme"}),
            json!({"sub": "", "company": "acme", "exp": soon()}),
            json!({"sub": "ada", "company": "a\nb", "exp": soon()}),
            json!({"sub": "ada", "company": "x".repeat(256), "exp": soon()}),
            json!({"sub": "ada", "company": "acme", "exp": "tomorrow"}),
            json!({"sub": "ada", "company": "acme", "exp": -1}),
            json!({"sub": 7, "company": "acme", "exp": soon()}),
            json!({"sub": "ada", "company": "acme", "role": 7, "exp": soon()}),
        ] {
            assert_eq!(tokens().read(&signed(&claims)), Err(Refused::Claims), "{claims}");
        }
    }

    #[test]
    fn times_are_those_of_the_machine_without_leeway() {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = |exp, nbf| signed(&json!({"sub": "a", "company": "c", "exp": exp, "nbf": nbf}));
        assert_eq!(tokens().read(&claims(now - 1, 0)), Err(Refused::Expired));
        assert_eq!(tokens().read(&claims(now, 0)), Err(Refused::Expired));
        assert_eq!(tokens().read(&claims(now + 600, now + 300)), Err(Refused::NotYet));
        assert!(tokens().read(&claims(now + 600, now)).is_ok());
    }

    #[test]
    fn only_hs256_with_the_right_secret_counts() {
        let good = signed(&json!({"sub": "ada", "company": "acme", "exp": soon()}));
        let (_, rest) = good.split_once('.').unwrap();
        // {"alg":"none","typ":"JWT"} and {"alg":"HS512","typ":"JWT"}
        for (header, why) in [
            ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", Refused::Malformed),
            ("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", Refused::Algorithm),
        ] {
            assert_eq!(tokens().read(&format!("{header}.{rest}")), Err(why));
        }
        let claims = rest.split('.').next().unwrap();
        assert_eq!(
            tokens().read(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")),
            Err(Refused::Malformed)
        );
        let other = Tokens::new(&SecretString::from("another secret of thirty-two bytes!!"));
        assert_eq!(other.read(&good), Err(Refused::Signature));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é"] {
            assert!(tokens().read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_critical_header_is_not_understood() {
        let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
        let claims = json!({"sub": "ada", "company": "acme", "exp": soon()});
        let token = jsonwebtoken::encode(&header, &claims, &tokens().signing).unwrap();
        assert_eq!(tokens().read(&token), Err(Refused::Malformed));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", tokens()), "Tokens { .. }");
    }
}
