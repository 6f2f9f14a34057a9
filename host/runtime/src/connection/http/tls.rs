//! TLS as client: 1.2 or newer, the operator's roots, a client certificate.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::secret::Secret;

/// What the operator said of TLS.
#[derive(Default)]
pub(super) struct Trust<'a> {
    /// PEM file with the only roots; the machine's own if none.
    pub(super) ca: Option<&'a Path>,
    /// PEM file with the client's certificate chain, and its key.
    pub(super) client: Option<(&'a Path, &'a Secret)>,
}

/// The configuration for one connection.
pub(super) fn configure(trust: &Trust<'_>) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?.with_root_certificates(roots(trust.ca)?);
    let config = match trust.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            // The key's own error could quote it.
            let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| "`key` holds no PEM private key".to_owned())?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|_| "`certificate` and `key` do not fit each other".to_owned())?
        }
    };
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| format!("`ca` {}: {error}", path.display()))?;
        }
    } else {
        // Single broken files of the machine's store are no reason to stop; none at all is.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this machine has no trusted roots; name them with `ca`".to_owned());
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| format!("{shown} is no PEM"))?;
    if certificates.is_empty() { Err(format!("{shown} has no certificate")) } else { Ok(certificates) }
}

/// The alert by which a server refuses this client (RFC 8446 section 6.2), if that is what broke the connection.
///
/// `handshake_failure` and the like are left out: they do not say who is at fault.
pub(super) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    use rustls::AlertDescription as Alert;
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| error.downcast_ref());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            let ours = matches!(
                alert,
                Alert::NoCertificate
                    | Alert::BadCertificate
                    | Alert::UnsupportedCertificate
                    | Alert::CertificateRevoked
                    | Alert::CertificateExpired
                    | Alert::CertificateUnknown
                    | Alert::UnknownCA
                    | Alert::AccessDenied
                    | Alert::CertificateRequired
            );
            return ours.then(|| format!("{alert:?}"));
        }
        next = error.source();
    }
    None
}
