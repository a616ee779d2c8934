//! A platform on a port of its own, and a client that sends what it is told to send, byte for byte.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use platform::{Config, Environment, Platform};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "a secret of more than thirty-two bytes";

/// A running platform in development mode, with a folder of its own.
pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    folder: Arc<TempDir>,
    variables: Vec<(String, String)>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables beside.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), variables.iter().map(own).collect()).await
    }

    /// On PostgreSQL, in a schema of its own, with these variables beside.
    pub(crate) async fn on_postgres(variables: &[(&str, &str)]) -> Self {
        let url = crate::two_processes::database("alone");
        Self::with(&[&[("DATABASE_URL", url.as_str())], variables].concat()).await
    }

    async fn in_folder(folder: Arc<TempDir>, variables: Vec<(String, String)>) -> Self {
        let platform = open(&folder, &variables).await;
        Self::serve(platform, folder, variables)
    }

    /// One, and where its gateway answers without the gate.
    #[cfg(feature = "throughput")]
    pub(crate) async fn beside_a_bare_one(company: &str, feature: &str) -> (Self, SocketAddr) {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let platform = open(&folder, &[]).await;
        let company = entitlements_core::id::CompanyId::new(company).unwrap();
        let subject = entitlements_core::Subject::company(company);
        let bare = platform.ungated(&subject, feature).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, bare).into_future());
        (Self::serve(platform, folder, Vec::new()), address)
    }

    fn serve(platform: Platform, folder: Arc<TempDir>, variables: Vec<(String, String)>) -> Self {
        let address = platform.address();
        let (stop, stopped) = oneshot::channel();
        let end = async move {
            let _ = stopped.await;
        };
        Self { address, stop, serving: tokio::spawn(platform.serve(end)), folder, variables }
    }

    #[cfg(feature = "throughput")]
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as a signal would, and starts another one on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        Self::in_folder(self.folder, self.variables).await
    }

    /// A token for `user` of `company`.
    pub(crate) async fn token(&self, company: &str, user: &str, role: &str) -> String {
        let body = json!({"company": company, "user": user, "role": role});
        let response = self.send("POST", "/dev/tokens", None, Some(&body)).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn member(&self, company: &str) -> String {
        self.token(company, "ada", "member").await
    }

    pub(crate) async fn admin(&self) -> String {
        self.token("operations", "olga", "admin").await
    }

    /// Sends JSON, or nothing.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let mut headers = String::new();
        if let Some(token) = token {
            headers = format!("authorization: Bearer {token}\r\n");
        }
        if body.is_some() {
            headers += "content-type: application/json\r\n";
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(method, path, &headers, body.into_bytes())
    }

    /// Sends exactly this.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let address = self.address;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        async move { exchange(address, head, body).await }
    }
}

/// A platform in development mode, on a free port.
async fn open(folder: &TempDir, variables: &[(String, String)]) -> Platform {
    let database = format!("sqlite://{}", folder.path().join("data/platform.db").display());
    let fixed = [
        ("BIND_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", &database),
        ("JWT_SECRET", SECRET),
        ("PLATFORM_DEV", "1"),
        // What is tested is the same on a machine that is busy.
        ("ENTITLEMENT_DEADLINE_MS", "10000"),
    ];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment: Environment = fixed.into_iter().chain(variables.iter().cloned()).collect();
    Platform::open(Config::read(environment).unwrap()).await.unwrap()
}

/// The page at an address on this machine.
pub(crate) async fn fetch(url: &str) -> Response {
    fetch_as(url, "").await
}

/// The same with these headers.
pub(crate) async fn fetch_as(url: &str, headers: &str) -> Response {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    exchange(host.parse().unwrap(), head, Vec::new()).await
}

async fn exchange(address: SocketAddr, head: String, body: Vec<u8>) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Response::parse(&answer)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a problem of that status and code, in the form that every error has.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        for member in ["type", "title", "instance"] {
            assert!(problem[member].is_string(), "{member} of {problem}");
        }
        problem
    }

    /// Asserts a 400 that names the field.
    #[track_caller]
    pub(crate) fn names(&self, field: &str) {
        let problem = self.problem(400, "invalid_request");
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{field}`")), "{problem}");
    }
}
