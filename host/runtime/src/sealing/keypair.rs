//! Asymmetric keys: P-256 (FIPS 186-5, deterministic signatures of RFC 6979) and Ed25519 (RFC 8032), as PKCS#8 PEM.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cutover_engine::Failure;
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::{
        DecodePrivateKey as _, EncodePrivateKey as _, LineEnding, PrivateKeyInfoRef,
        der::{
            Decode as _, Encode as _, SecretDocument,
            asn1::{BitString, Ia5String, OctetString},
            pem::PemLabel as _,
        },
    },
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use x509_cert::{
    attr::Attributes,
    ext::{
        Extension,
        pkix::{SubjectAltName, name::GeneralName},
    },
    name::Name,
    request::{CertReq, CertReqInfo, ExtensionReq, Version},
    spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned},
};
use zeroize::Zeroizing;

use super::{code, unusable};
use crate::{entropy::Entropy, secret::Secret};

/// RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5758 section 3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// RFC 8410 section 7: everything of a private key before its 32 bytes.
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A private key and what it can do.
pub(super) enum KeyPair {
    P256(SecretKey),
    Ed25519(Zeroizing<[u8; 32]>),
}

impl KeyPair {
    pub(super) fn p256(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            entropy.fill(bytes.as_mut());
            // Zero and what is not below the group's order are no keys (FIPS 186-5 A.2.2).
            if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
                return Self::P256(key);
            }
        }
    }

    pub(super) fn ed25519(entropy: &dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut());
        Self::Ed25519(seed)
    }

    /// PKCS#8 of either algorithm.
    pub(super) fn from_pem(text: &str) -> Result<Self, Failure> {
        let refuse = || unusable(code::GENERATE, "the sealed value is no PKCS#8 PEM key of P-256 or Ed25519");
        if let Ok(key) = SecretKey::from_pkcs8_pem(text) {
            return Ok(Self::P256(key));
        }
        let (label, document) = SecretDocument::from_pem(text).map_err(|_| refuse())?;
        let info = PrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|_| refuse())?;
        // RFC 8410: the octets of a key are wrapped once more.
        match info.private_key.as_bytes() {
            [4, 32, seed @ ..] if label == PrivateKeyInfoRef::PEM_LABEL && info.algorithm.oid == ED25519 => {
                let mut bytes = Zeroizing::new([0; 32]);
                if seed.len() != bytes.len() {
                    return Err(refuse());
                }
                bytes.copy_from_slice(seed);
                Ok(Self::Ed25519(bytes))
            }
            _ => Err(refuse()),
        }
    }

    /// The private key as PKCS#8 PEM and the public one as SPKI PEM.
    pub(super) fn to_pem(&self) -> Result<(Secret, Option<String>), Failure> {
        let secret = match self {
            Self::P256(key) => Secret::text(key.to_pkcs8_pem(LineEnding::LF).map_err(|_| defect())?.as_str().to_owned()),
            Self::Ed25519(seed) => {
                let mut der = Zeroizing::new(Vec::with_capacity(ED25519_PKCS8.len() + seed.len()));
                der.extend_from_slice(&ED25519_PKCS8);
                der.extend_from_slice(seed.as_slice());
                let document = SecretDocument::try_from(der.as_slice()).map_err(|_| defect())?;
                Secret::text(document.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF).map_err(|_| defect())?.as_str().to_owned())
            }
        };
        let public = self.public()?.to_der().map_err(|_| defect())?;
        let public =
            pem::encode_config(&pem::Pem::new("PUBLIC KEY", public), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF));
        Ok((secret, Some(public)))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<String, Failure> {
        Ok(URL_SAFE_NO_PAD.encode(match self {
            Self::P256(key) => p256_signature(key, message).to_bytes().to_vec(),
            Self::Ed25519(_) => self.ed25519_pair()?.sign(message).as_ref().to_vec(),
        }))
    }

    pub(super) fn csr(&self, names: &[String]) -> Result<String, Failure> {
        let names = names.iter().map(|name| general_name(name)).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Err(unusable(code::GENERATE, "a signing request needs a name"));
        }
        let names = SubjectAltName(names).to_der().and_then(OctetString::new).map_err(|_| defect())?;
        // Critical, because the subject is empty (RFC 5280 section 4.2.1.6).
        let names = Extension { extn_id: ObjectIdentifier::new_unwrap("2.5.29.17"), critical: true, extn_value: names };
        let mut attributes = Attributes::new();
        attributes.insert(ExtensionReq(vec![names]).try_into().map_err(|_| defect())?).map_err(|_| defect())?;
        let info = CertReqInfo { version: Version::V1, subject: Name::default(), public_key: self.public()?, attributes };
        let message = info.to_der().map_err(|_| defect())?;
        let (oid, signature) = match self {
            Self::P256(key) => (ECDSA_WITH_SHA256, p256_signature(key, &message).to_der().as_bytes().to_vec()),
            Self::Ed25519(_) => (ED25519, self.ed25519_pair()?.sign(&message).as_ref().to_vec()),
        };
        let signature = BitString::from_bytes(&signature).map_err(|_| defect())?;
        let request = CertReq { info, algorithm: AlgorithmIdentifierOwned { oid, parameters: None }, signature };
        let der = request.to_der().map_err(|_| defect())?;
        Ok(pem::encode_config(&pem::Pem::new("CERTIFICATE REQUEST", der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)))
    }

    fn public(&self) -> Result<SubjectPublicKeyInfoOwned, Failure> {
        match self {
            Self::P256(key) => SubjectPublicKeyInfoOwned::from_key(&key.public_key()).map_err(|_| defect()),
            Self::Ed25519(_) => Ok(SubjectPublicKeyInfoOwned {
                algorithm: AlgorithmIdentifierOwned { oid: ED25519, parameters: None },
                subject_public_key: BitString::from_bytes(self.ed25519_pair()?.public_key().as_ref()).map_err(|_| defect())?,
            }),
        }
    }

    fn ed25519_pair(&self) -> Result<Ed25519KeyPair, Failure> {
        match self {
            Self::Ed25519(seed) => Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| defect()),
            Self::P256(_) => Err(defect()),
        }
    }
}

fn p256_signature(key: &SecretKey, message: &[u8]) -> Signature {
    SigningKey::from(key).sign(message)
}

fn general_name(name: &str) -> Result<GeneralName, Failure> {
    if let Ok(address) = name.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let text = Ia5String::new(name).ok().filter(|_| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
    let text = text.ok_or_else(|| unusable(code::GENERATE, "a name is a DNS name, an IP address or a URI in ASCII"))?;
    Ok(if name.contains("://") { GeneralName::UniformResourceIdentifier(text) } else { GeneralName::DnsName(text) })
}

fn defect() -> Failure {
    unusable(code::GENERATE, "the key cannot be encoded")
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Verifier as _;
    use x509_cert::der::DecodePem as _;

    use super::*;
    use crate::entropy::SystemEntropy;

    fn pairs() -> [KeyPair; 2] {
        [KeyPair::p256(&SystemEntropy), KeyPair::ed25519(&SystemEntropy)]
    }

    fn check(pair: &KeyPair, message: &[u8], signature: &[u8], is_der: bool) -> bool {
        match pair {
            KeyPair::P256(key) => {
                let signature = if is_der { Signature::from_der(signature) } else { Signature::from_slice(signature) };
                signature.is_ok_and(|signature| SigningKey::from(key).verifying_key().verify(message, &signature).is_ok())
            }
            KeyPair::Ed25519(_) => {
                let public = pair.ed25519_pair().expect("a key");
                ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public.public_key()).verify(message, signature).is_ok()
            }
        }
    }

    #[test]
    fn keys_come_back_from_pem_and_sign() {
        for pair in pairs() {
            let (secret, public) = pair.to_pem().expect("PEM");
            let text = secret.expose_text().expect("text");
            assert!(
                text.starts_with("-----BEGIN PRIVATE KEY-----\n")
                    && public.is_some_and(|public| public.starts_with("-----BEGIN PUBLIC KEY-----\n"))
            );
            let signature = KeyPair::from_pem(text).and_then(|pair| pair.sign(b"message")).expect("a signature");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            assert_eq!(signature.len(), 64);
            assert!(check(&pair, b"message", &signature, false) && !check(&pair, b"massage", &signature, false));
        }
        assert!(
            KeyPair::from_pem("-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n").is_err() && KeyPair::from_pem("x").is_err()
        );
    }

    #[test]
    fn ed25519_agrees_with_rfc_8032() {
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed.as_mut_slice()).expect("hex");
        let signature = URL_SAFE_NO_PAD.decode(KeyPair::Ed25519(seed).sign(b"").expect("a signature")).expect("base64url");
        assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
    }

    #[test]
    fn requests_are_signed_and_name_everything() {
        for pair in pairs() {
            let text = pair.csr(&["a.example".to_owned(), "10.0.0.1".to_owned(), "spiffe://x/y".to_owned()]).expect("a request");
            let request = CertReq::from_pem(&text).expect("PEM");
            let message = request.info.to_der().expect("DER");
            assert!(check(&pair, &message, request.signature.raw_bytes(), true));
            let shown = format!("{:?}", request.info.attributes);
            assert!(!shown.is_empty());
            let der = request.info.to_der().expect("DER");
            for name in [&b"a.example"[..], &[0x87, 4, 10, 0, 0, 1], b"spiffe://x/y"] {
                assert!(der.windows(name.len()).any(|window| window == name));
            }
        }
        assert!(pairs()[0].csr(&[]).is_err() && pairs()[0].csr(&["a b".to_owned()]).is_err());
    }
}
