//! Sends a trace to a collector: OTLP over HTTP with JSON bodies, with the client that connections of kind `http` use, so
//! with the same TLS, time limits and forbidden addresses. Set by the variables of OpenTelemetry's specification
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::{collections::HashMap, sync::Arc, time::Duration};

use cutover_engine::{Failure, Span};
use cutover_runtime::{
    clock::SystemClock,
    connection::{
        Backend, ConnectionConfig, Credentials, Kinds, Opened, Opening, SendError, WireBody, WireLimits, WireRequest, WireResponse,
    },
    policy::RequestPath,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

use super::otlp::decoded;
use crate::{
    environment::Environment,
    error::{CommandError, code},
};

/// So many requests wait at most; a collector that is slower loses some.
const QUEUE: usize = 64;
/// How long a request may take with all its attempts, if `OTEL_EXPORTER_OTLP_TIMEOUT` does not say it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Sends requests for export one after the other.
pub(super) struct Sender {
    queue: mpsc::Sender<Arc<str>>,
    task: JoinHandle<Option<String>>,
    longest: Duration,
}

/// Where a collector is. It has no `Debug`: headers hold credentials.
struct Endpoint {
    /// `scheme://host:port`.
    base: String,
    path: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
}

impl Sender {
    /// One to the collector that the environment names, if it does. Needs a Tokio runtime.
    pub(super) fn of(environment: &Environment) -> Result<Option<Self>, CommandError> {
        Ok(Endpoint::of(environment)?.map(Self::to))
    }

    fn to(endpoint: Endpoint) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Arc<str>>(QUEUE);
        let longest = endpoint.timeout;
        let task = tokio::spawn(async move {
            let mut problem = None;
            let mut backend = None;
            while let Some(text) = waiting.recv().await {
                if backend.is_none() {
                    backend = endpoint.open().await.map_err(|error| problem.get_or_insert(error).clone()).ok();
                }
                let Some(backend) = &backend else { continue };
                if let Err(error) = endpoint.send(&**backend, &text).await {
                    problem.get_or_insert(error);
                }
            }
            problem
        });
        Self { queue, task, longest }
    }

    /// Hands a request over; what has no room is left out.
    pub(super) fn offer(&self, request: Arc<str>) {
        if self.queue.try_send(request).is_err() {
            tracing::warn!("the collector is too slow: spans were left out");
        }
    }

    /// Waits until everything is sent, not for long.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub(super) async fn finish(self) -> Result<(), String> {
        drop(self.queue);
        match timeout(self.longest, self.task).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(problem))) => Err(problem),
            Ok(Err(_)) => Err("its task broke off".to_owned()),
            Err(_) => Err("the collector is too slow".to_owned()),
        }
    }
}

impl Endpoint {
    fn of(environment: &Environment) -> Result<Option<Self>, CommandError> {
        let wrong = |name: &str, what: &str| CommandError::usage(code::SETTING, format!("{name} {what}"));
        // What is for traces beats what is for everything.
        let text = |end: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")];
            names.into_iter().find_map(|name| Some((environment.variable(&name)?.to_string_lossy().into_owned(), name)))
        };
        let is_on = |name: &str, wanted: &str| environment.variable(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        let Some((url, name)) = text("ENDPOINT").filter(|_| !is_on("OTEL_SDK_DISABLED", "true") && !is_on("OTEL_TRACES_EXPORTER", "none"))
        else {
            return Ok(None);
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(&name, "is no URL, such as http://localhost:4318"))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if name.contains("_TRACES_") {
            if path.is_empty() { "/".to_owned() } else { path.to_owned() }
        } else {
            format!("{}/v1/traces", path.trim_end_matches('/'))
        };
        let headers = text("HEADERS").map(|(text, _)| text).unwrap_or_default();
        let pairs = headers.split(',').filter_map(|pair| pair.split_once('='));
        let headers = pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), decoded(value.trim()))).collect();
        let timeout = match text("TIMEOUT") {
            Some((millis, name)) => Duration::from_millis(millis.parse().map_err(|_| wrong(&name, "is no number of milliseconds"))?),
            None => TIMEOUT,
        };
        Ok(Some(Self { base: format!("{scheme}://{host}"), path, headers, timeout }))
    }

    async fn open(&self) -> Result<Arc<dyn Backend>, String> {
        let config = ConnectionConfig {
            name: "collector".to_owned(),
            kind: "http".to_owned(),
            url: Some(self.base.clone()),
            timeout: Some(Span(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))),
            // The operator names the collector; many speak plain http inside of a cluster.
            settings: [("insecure".to_owned(), true.into())].into_iter().collect(),
            ..ConnectionConfig::default()
        };
        let opening = Opening {
            clock: Arc::new(SystemClock),
            credentials: Credentials::with_environment(HashMap::new()),
            limits: WireLimits::default(),
            digest_key: Zeroizing::new([0; 32]),
        };
        match Kinds::system().open(&config, &opening).await {
            Ok(Opened::One(backend)) => Ok(backend),
            Ok(_) => Err("the collector is a set".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends until the collector took it, said that it never will, or the time is over.
    async fn send(&self, backend: &dyn Backend, text: &str) -> Result<(), String> {
        let over = Instant::now() + self.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let (problem, wanted) = match backend.send(self.request(text)?).await {
                Ok(response) => match answer(&response) {
                    Answer::Taken => return Ok(()),
                    Answer::Refused(problem) => return Err(problem),
                    Answer::Later(problem, wanted) => (problem, wanted),
                },
                Err(SendError::NotSent { failure: Failure { text, .. } } | SendError::Lost { text }) => (text, None),
            };
            let next = Instant::now() + wanted.unwrap_or(pause);
            if next >= over {
                return Err(problem);
            }
            sleep(next - Instant::now()).await;
            pause *= 2;
        }
    }

    fn request(&self, text: &str) -> Result<WireRequest, String> {
        let mut headers = self.headers.clone();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Ok(WireRequest {
            method: "POST".to_owned(),
            path: RequestPath::parse(&self.path).map_err(|failure| failure.to_string())?,
            query: Vec::new(),
            headers,
            body: Some(WireBody::Bytes(text.as_bytes().to_vec())),
            credential: None,
        })
    }
}

/// What a collector said (OTLP, section "Failures" of OTLP/HTTP).
enum Answer {
    Taken,
    Refused(String),
    Later(String, Option<Duration>),
}

fn answer(response: &WireResponse) -> Answer {
    let problem = format!("the collector answered with status {}", response.status);
    match response.status {
        200..=299 => Answer::Taken,
        429 | 502..=504 => {
            let seconds = response.headers.iter().find(|(name, _)| name == "retry-after").and_then(|(_, value)| value.parse().ok());
            Answer::Later(problem, seconds.map(Duration::from_secs))
        }
        _ => Answer::Refused(problem),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        sync::mpsc as channel,
    };

    use super::*;

    /// Answers each request with the next of these statuses; tells of each: its first line, headers and body.
    fn collector(statuses: &'static [&'static str]) -> (String, channel::Receiver<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (told, heard) = channel::channel();
        std::thread::spawn(move || {
            for status in statuses {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).expect("a line");
                }
                let length =
                    head.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
                let mut body = vec![0; length.expect("a length")];
                reader.read_exact(&mut body).expect("a body");
                told.send((head, String::from_utf8(body).expect("text"))).expect("the test listens");
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("written");
            }
        });
        (address, heard)
    }

    fn sender(address: &str, more: &[(&str, &str)]) -> Sender {
        let variables: Vec<(&str, &str)> = [("OTEL_EXPORTER_OTLP_ENDPOINT", address)].into_iter().chain(more.iter().copied()).collect();
        Sender::of(&Environment::with_variables(&variables)).expect("settings").expect("a collector")
    }

    #[tokio::test]
    async fn a_request_is_posted_as_json_with_the_headers_of_the_operator() {
        let (address, heard) = collector(&["200 OK"]);
        let sender = sender(&address, &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Team=edge")]);
        sender.offer("{\"resourceSpans\":[]}".into());
        assert_eq!(sender.finish().await, Ok(()));
        let (head, body) = heard.recv().expect("a request");
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        for line in ["content-type: application/json", "api-key: a b", "x-team: edge"] {
            assert!(head.contains(&format!("{line}\r\n")), "no `{line}` in {head}");
        }
        assert_eq!(body, "{\"resourceSpans\":[]}");
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_never_will_is_told() {
        let (address, heard) = collector(&["503 Later", "200 OK", "400 Bad Request"]);
        let sender = sender(&format!("{address}/otel/"), &[]);
        sender.offer("1".into());
        sender.offer("2".into());
        assert_eq!(sender.finish().await, Err("the collector answered with status 400".to_owned()));
        let bodies: Vec<(bool, String)> = heard.iter().map(|(head, body)| (head.starts_with("POST /otel/v1/traces "), body)).collect();
        assert_eq!(bodies, [(true, "1".to_owned()), (true, "1".to_owned()), (true, "2".to_owned())]);
    }

    #[test]
    fn the_environment_decides_whether_and_where() {
        let of = |variables: &[(&str, &str)]| {
            let found = Endpoint::of(&Environment::with_variables(variables));
            found.map(|found| found.map(|endpoint| format!("{}{} {:?}", endpoint.base, endpoint.path, endpoint.timeout)))
        };
        assert_eq!(of(&[]), Ok(None));
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(of(&[general]), Ok(Some("http://collector:4318/v1/traces 10s".to_owned())));
        let traces = [general, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/x"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "500")];
        assert_eq!(of(&traces), Ok(Some("https://t/x 500ms".to_owned())));
        assert_eq!(of(&[general, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]).is_err());
    }
}
