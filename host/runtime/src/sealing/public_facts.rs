//! What certificates and JSON Web Tokens say in public.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cutover_engine::{Digest, Failure, Timestamp};
use serde_json::Value;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
    time::Time,
};

use super::{code, unusable};
use crate::{
    codec,
    hook::{CertificateFacts, Form},
};

/// The facts of the first certificate of a PEM text (RFC 5280).
pub(super) fn certificate(text: &str) -> Result<CertificateFacts, Failure> {
    let refuse = || unusable(code::FORM, "the text is no certificate in PEM");
    let blocks = pem::parse_many(text).map_err(|_| refuse())?;
    let block = blocks.iter().find(|block| block.tag() == "CERTIFICATE").ok_or_else(refuse)?;
    let certificate = Certificate::from_der(block.contents()).map_err(|_| refuse())?;
    let certificate = certificate.tbs_certificate();
    let names = certificate.get_extension::<SubjectAltName>().map_err(|_| refuse())?;
    let names = names.map(|(_, names)| names.0.iter().filter_map(name).collect()).unwrap_or_default();
    Ok(CertificateFacts {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: hex::encode(certificate.serial_number().as_bytes()),
        not_before: timestamp(&certificate.validity().not_before),
        not_after: timestamp(&certificate.validity().not_after),
        names,
        fingerprint: Digest::of(block.contents()).to_string(),
    })
}

fn timestamp(time: &Time) -> Timestamp {
    Timestamp(u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX))
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => match octets.as_bytes().len() {
            4 => <[u8; 4]>::try_from(octets.as_bytes()).ok().map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
            16 => <[u8; 16]>::try_from(octets.as_bytes()).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The claims of a signed token in compact form (RFC 7515 section 3.1), without those that make it unique and could be
/// replayed or compared.
pub(super) fn claims(text: &str) -> Result<Value, Failure> {
    let refuse = || unusable(code::FORM, "the sealed text is no signed JSON Web Token");
    let parts: Vec<_> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(refuse()) };
    let decode = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| codec::parse(Form::Json, &text).ok())
    };
    if decode(header).and_then(|header| header.get("alg")?.as_str().map(str::len)).is_none() || URL_SAFE_NO_PAD.decode(signature).is_err() {
        return Err(refuse());
    }
    let Some(Value::Object(mut claims)) = decode(payload) else { return Err(refuse()) };
    claims.remove("jti");
    claims.remove("nonce");
    Ok(Value::Object(claims))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_lack_what_is_unique() {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.c2ln",
            part(json!({"alg": "ES256"})),
            part(json!({"sub": "x", "exp": 9_007_199_254_740_993_u64, "jti": "j", "nonce": "n"}))
        );
        assert_eq!(claims(&token), Ok(json!({"sub": "x", "exp": 9_007_199_254_740_993_u64})));
        for text in ["", "a.b", "a.b.c", "e30.e30.e30", "hunter2hunter2"] {
            assert!(claims(text).is_err(), "{text}");
        }
    }

    #[test]
    fn facts_come_from_the_first_certificate() {
        let facts = certificate(include_str!("testdata/leaf.pem")).expect("a certificate");
        assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=leaf,O=Corp", "CN=leaf,O=Corp"));
        assert_eq!(facts.names, ["a.example", "10.0.0.1", "spiffe://x/y"]);
        assert_eq!(
            (facts.serial.as_str(), facts.not_before.0 % 1000, facts.not_after.0 - facts.not_before.0),
            ("1234", 0, 3_153_600_000_000)
        );
        assert_eq!(facts.fingerprint.len(), 64);
        assert!(certificate("").is_err() && certificate("-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n").is_err());
    }
}
