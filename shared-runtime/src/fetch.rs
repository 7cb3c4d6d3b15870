//! HTTP towards others: one request, one answer, both bounded.
//!
//! In    a URL, and for POST a body with its headers.
//! Out   status, `max-age` (RFC 9111 §5.2.2.1) and body.
//! State connections that are kept for the next request.
//! Errors [`FetchError`]; a status that is no success is an answer, and the caller's to judge.
//! Not here: redirects, which nobody follows into another network; cookies, proxies.

use std::time::Duration;

use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::tls::TlsPolicy;

/// Asks others. Clones share connections.
#[derive(Clone)]
pub struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    bounds: Bounds,
}

/// What an answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long all of it may take.
    pub time: Duration,
    /// Bytes of the body.
    pub bytes: usize,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// How long it may be kept; `None` if that is not said, zero if it may not.
    pub max_age: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not a URL of HTTP, or a header that is none.
    #[error("not an HTTP request: {0}")]
    Malformed(String),
    /// Nobody answers there, or not in HTTP, or their certificate is not theirs.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("too slow")]
    TooSlow,
    /// The body is larger than is borne.
    #[error("too large")]
    TooLarge,
}

impl Fetcher {
    /// Asks within these bounds, and believes whom `tls` believes. Plain `http:` works too; who takes URLs from
    /// strangers looks at their scheme first.
    pub fn new(tls: &TlsPolicy, bounds: Bounds) -> Self {
        let mut config = (*tls.client(&[])).clone();
        // The connector says itself what it speaks.
        config.alpn_protocols.clear();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(MOST_KEPT)
            .build(connector);
        Self { client, bounds }
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        self.get_with(url, &[]).await
    }

    /// GET, with headers by name and value.
    pub async fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Result<Fetched, FetchError> {
        self.send(Request::get(uri(url)?), headers, Bytes::new()).await
    }

    /// POST, with headers by name and value.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Fetched, FetchError> {
        self.send(Request::post(uri(url)?), headers, body).await
    }

    async fn send(
        &self,
        mut builder: Builder,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Fetched, FetchError> {
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(Full::new(body));
        self.ask(request.map_err(|error| FetchError::Malformed(error.to_string()))?).await
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Fetched, FetchError> {
        let asked = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| FetchError::Unreachable(because(&error)))?;
            let (status, max_age) = (response.status().as_u16(), max_age(response.headers()));
            let body = Limited::new(response.into_body(), self.bounds.bytes).collect().await;
            let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
                true => FetchError::TooLarge,
                false => FetchError::Unreachable(because(&*error)),
            })?;
            Ok(Fetched { status, max_age, body: body.to_bytes() })
        };
        tokio::time::timeout(self.bounds.time, asked).await.unwrap_or(Err(FetchError::TooSlow))
    }
}

impl Fetched {
    /// Whether it is a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

fn uri(url: &str) -> Result<Uri, FetchError> {
    let uri: Uri = url.parse().map_err(|error| FetchError::Malformed(format!("{error}")))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(FetchError::Malformed("neither http nor https".to_owned())),
    }
}

/// The innermost reason: the outer ones say that a request failed, which is known.
fn because(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for directive in directives.flat_map(|value| value.split(',')).map(str::trim) {
        if ["no-store", "no-cache"].iter().any(|no| directive.eq_ignore_ascii_case(no)) {
            return Some(Duration::ZERO);
        }
        if let Some((name, value)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            found = value.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    found
}

/// How long an idle connection is kept for the next request.
const KEPT: Duration = Duration::from_secs(60);
/// Idle connections that are kept to one host.
const MOST_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::routing::{get, post};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Shutdown, http, tls};

    fn router() -> Router {
        Router::new()
            .route("/kept", get(|| async { ([("cache-control", "public, max-age=60")], "certificate") }))
            .route("/large", get(|| async { "x".repeat(2_000) }))
            .route("/never", get(std::future::pending::<&str>))
            .route(
                "/echo",
                post(|headers: HeaderMap, body: Bytes| async move {
                    let token = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
                    (axum::http::StatusCode::ACCEPTED, format!("{token} {}", String::from_utf8_lossy(&body)))
                }),
            )
    }

    #[tokio::test]
    async fn asks_in_the_clear_and_over_tls_within_bounds() {
        tls::install_provider();
        let folder = std::env::temp_dir().join(format!("cusax-fetch-{}", std::process::id()));
        let policy = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        let shutdown = Shutdown::new();
        let listener = || TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (plain, protected) = (listener().await.unwrap(), listener().await.unwrap());
        let at = format!("http://{}", plain.local_addr().unwrap());
        let safe = format!("https://localhost:{}", protected.local_addr().unwrap().port());
        http::serve_plain(plain, router(), &shutdown);
        http::serve_tls(protected, policy.server(&[]), router(), &shutdown);
        let bounds = Bounds { time: Duration::from_secs(2), bytes: 1_000 };
        let fetcher = Fetcher::new(&policy, bounds);
        for base in [&at, &safe] {
            let kept = fetcher.get(&format!("{base}/kept")).await.unwrap();
            assert_eq!((kept.status, kept.max_age), (200, Some(Duration::from_secs(60))));
            let echo = fetcher.post(&format!("{base}/echo"), &[("authorization", "t")], "b".into()).await;
            assert_eq!((echo.as_ref().unwrap().status, &echo.unwrap().body[..]), (202, &b"t b"[..]));
        }
        assert_eq!(fetcher.get(&format!("{at}/nowhere")).await.map(|answer| answer.status), Ok(404));
        assert_eq!(fetcher.get(&format!("{at}/large")).await, Err(FetchError::TooLarge));
        let hurried = Fetcher::new(&policy, Bounds { time: Duration::from_millis(50), ..bounds });
        assert_eq!(hurried.get(&format!("{at}/never")).await, Err(FetchError::TooSlow));
        for wrong in ["file:///etc/passwd", "nothing", "http:///"] {
            assert!(matches!(fetcher.get(wrong).await, Err(FetchError::Malformed(_))), "{wrong}");
        }
        // A stranger's certificate.
        let other = std::env::temp_dir().join(format!("cusax-fetch-other-{}", std::process::id()));
        let stranger = TlsPolicy::open(&tls::Config::default(), &other, &["localhost".to_owned()]).unwrap();
        let refused = Fetcher::new(&stranger, bounds).get(&format!("{safe}/kept")).await;
        assert!(matches!(refused, Err(FetchError::Unreachable(_))), "{refused:?}");
        shutdown.begin();
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::remove_dir_all(other).unwrap();
    }

    #[test]
    fn what_may_not_be_kept_has_no_age() {
        let age = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(age("max-age=5, no-store"), Some(Duration::ZERO));
        assert_eq!((age("private"), age("Max-Age=\"7\"")), (None, Some(Duration::from_secs(7))));
    }
}
