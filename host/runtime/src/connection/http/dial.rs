//! From a name to a connected stream: resolve once, check every address, dial the checked ones.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use cutover_engine::{Failure, FailureCase};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{address::forbidden, target::Target, tls};
use crate::{clock::BoxFuture, policy::Code};

/// Names to addresses, so that tests can answer what no server would.
pub trait Resolve: Send + Sync {
    /// Every address of `host`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The machine's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A connected stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Everything that dialling needs.
pub(super) struct Dialler {
    pub(super) target: Target,
    pub(super) socket: Option<PathBuf>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) insecure: bool,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) limit: Duration,
}

impl Dialler {
    /// A new stream, TLS included.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Failure> {
        let late = |_| unreachable(&self.target, "no connection within the time limit");
        timeout(self.limit, self.connect()).await.map_err(late)?
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let plain: Box<dyn Stream> = match &self.socket {
            Some(path) => Box::new(UnixStream::connect(path).await.map_err(|error| unreachable(&self.target, &error.to_string()))?),
            None => Box::new(self.connect_tcp().await?),
        };
        let Some(config) = &self.tls else { return Ok(plain) };
        let name = ServerName::try_from(self.target.host.clone()).map_err(|_| unreachable(&self.target, "the host is no name for TLS"))?;
        match TlsConnector::from(Arc::clone(config)).connect(name, plain).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(refused_client(&self.target, &error).unwrap_or_else(|| {
                Code::TLS.failure(FailureCase::Unavailable, format!("TLS with `{}` cannot be set up: {error}", self.target.authority()))
            })),
        }
    }

    async fn connect_tcp(&self) -> Result<TcpStream, Failure> {
        let addresses = self.addresses().await?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(SocketAddr::new(address, self.target.port)).await {
                Ok(stream) => {
                    // Requests are small and wait for their answer.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(unreachable(&self.target, &last.map_or_else(|| "the name has no address".to_owned(), |error| error.to_string())))
    }

    /// All addresses of the host, none of them forbidden: one bad answer among good ones refuses all.
    async fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        let target = &self.target;
        let addresses = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(&target.host, target.port).await.map_err(|error| unreachable(target, &error.to_string()))?,
        };
        for &address in &addresses {
            if let Some(rule) = forbidden(address) {
                return Err(Code::ADDRESS.refused(format!("`{}` is at {address}, {rule}: it is never dialled", target.authority())));
            }
            if !target.tls && !self.insecure && !address.is_loopback() {
                let text =
                    format!("`{}` is at {address}: plain http leaves this machine; use https, or `insecure = true`", target.authority());
                return Err(Code::PLAIN_HTTP.refused(text));
            }
        }
        Ok(addresses)
    }
}

/// The failure if the server ended TLS because of this client.
pub(super) fn refused_client(target: &Target, error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let alert = tls::refusal(error)?;
    Some(Code::TLS_REFUSED.failure(FailureCase::Denied, format!("`{}` refused this client with the TLS alert {alert}", target.authority())))
}

fn unreachable(target: &Target, problem: &str) -> Failure {
    Code::UNREACHABLE.failure(FailureCase::Unavailable, format!("`{}` cannot be reached: {problem}", target.authority()))
}
