//! HMAC with SHA-256, and nothing else: the only algorithm that tokens are signed with and checked for.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes it the process's provider, unless there is one already.
pub(crate) fn install() {
    // A second platform in one process, as tests have it, finds the first one's provider: the same.
    let _ = PROVIDER.install_default();
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(family: AlgorithmFamily, algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        if family != AlgorithmFamily::Hmac || algorithm != Algorithm::HS256 {
            return Err(ErrorKind::UnsupportedAlgorithm.into());
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }

    fn over(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.over(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Compares in constant time.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.over(message).verify_slice(signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's own signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Ok(Box::new(Hs256::new(key.family(), *algorithm, key.as_bytes())?))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the provider's own signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    Ok(Box::new(Hs256::new(key.family(), *algorithm, key.try_get_as_bytes()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231.
    const MAC: [u8; 32] = [
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a,
        0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
    ];
    const MESSAGE: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn it_is_the_hmac_of_the_standard() {
        let signed = signer(&Algorithm::HS256, &EncodingKey::from_secret(b"Jefe")).unwrap().try_sign(MESSAGE);
        assert_eq!(signed.unwrap(), MAC);
        let key = DecodingKey::from_secret(b"Jefe");
        let verifier = verifier(&Algorithm::HS256, &key).unwrap();
        assert!(verifier.verify(MESSAGE, &MAC.to_vec()).is_ok());
    }

    #[test]
    fn another_signature_is_refused() {
        let key = DecodingKey::from_secret(b"Jefe");
        let verifier = verifier(&Algorithm::HS256, &key).unwrap();
        let mut flipped = MAC.to_vec();
        flipped[31] ^= 1;
        for signature in [flipped, MAC[..31].to_vec(), Vec::new()] {
            assert!(verifier.verify(MESSAGE, &signature).is_err());
        }
    }

    #[test]
    fn there_is_no_other_algorithm() {
        for algorithm in [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::EdDSA] {
            assert!(signer(&algorithm, &EncodingKey::from_secret(b"k")).is_err(), "{algorithm:?}");
            assert!(verifier(&algorithm, &DecodingKey::from_secret(b"k")).is_err(), "{algorithm:?}");
        }
    }
}
