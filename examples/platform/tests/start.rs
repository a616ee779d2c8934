//! Starting: what is wrong is one clear line each, and exit code 2. A good start ends well.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// The platform with these variables, in a folder.
fn platform(folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_platform"));
    command
        .env_clear()
        .env("BIND_ADDR", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The lines on stderr of a start that is refused.
async fn refused(folder: &Path, variables: &[(&str, &str)]) -> Vec<String> {
    let output = platform(folder, variables).output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{variables:?}: {stderr}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    stderr.lines().map(Into::into).collect()
}

#[tokio::test]
async fn a_bad_value_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("BIND_ADDR", "8080"),
        ("BIND_ADDR", "127.0.0.1:99999"),
        ("BIND_ADDR", "0.0.0.0:0"),
        ("BIND_ADDR", "192.0.2.1:0"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("DATABASE_URL", "postgres://app:hunter2@127.0.0.1:1/x"),
        ("DATABASE_URL", "postgres://app:hunter2@db:port/x"),
        ("DATABASE_URL", "postgres://app@db/x?passwd=hunter2"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "sqlite:///proc/nothing/platform.db"),
        ("JWT_SECRET", ""),
        ("PLATFORM_DEV", "yes"),
        ("PLATFORM_DEV", "0"),
        ("CATALOG_PATH", "no/such/file.toml"),
        ("ENTITLEMENT_FAIL_MODE", "shut"),
        ("AUDIT_RETENTION_DAYS", "0"),
        ("AUDIT_RETENTION_DAYS", "ten"),
        ("RECEIPT_RETENTION_DAYS", "34"),
        ("APP_URL", "example.com"),
        ("REDIS_URL", "localhost:6379"),
        ("STRIPE_SECRET_KEY", "pk_test_hunter2"),
        ("STRIPE_API_BASE", "localhost:12111"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_hunter2,"),
        ("STRIPE_PRICE_ID_PRO", "price hunter2"),
        ("STRIPE_METERS", "reports_generated=hunter2 events"),
        ("STRIPE_METERS", "no_such_meter"),
    ] {
        let lines = refused(folder.path(), &[(name, value)]).await;
        assert_eq!(lines.len(), 1, "{name}={value}: {lines:#?}");
        let variable = if (name, value) == ("PLATFORM_DEV", "0") { "JWT_SECRET" } else { name };
        assert!(lines[0].starts_with(&format!("platform: {variable}: ")), "{}", lines[0]);
        assert!(!lines[0].contains("hunter2"), "{}", lines[0]);
    }
    let prices = [("STRIPE_PRICE_ID_STARTER", "price_1"), ("STRIPE_PRICE_ID_PRO", "price_1")];
    let lines = refused(folder.path(), &prices).await;
    assert!(lines[0].starts_with("platform: STRIPE_PRICE_ID_PRO: "), "{lines:#?}");
    let insecure = [("STRIPE_SECRET_KEY", "sk_test_1"), ("STRIPE_API_BASE", "http://stripe.example")];
    let lines = refused(folder.path(), &insecure).await;
    assert!(lines[0].starts_with("platform: STRIPE_API_BASE: "), "{lines:#?}");
    let secret = ("JWT_SECRET", "a secret of more than thirty-two bytes");
    let lines = refused(folder.path(), &[secret, ("PLATFORM_DEV", "1"), ("BIND_ADDR", "0.0.0.0:0")]).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lines = refused(folder.path(), &[("BIND_ADDR", &address)]).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with(&format!("platform: BIND_ADDR: cannot listen on {address}: ")),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("garbage.db");
    std::fs::write(
        &file,
        "this is no database, and it is long enough to have a header of one hundred bytes ".repeat(9),
    )
    .unwrap();
    let lines = refused(folder.path(), &[("DATABASE_URL", &format!("sqlite://{}", file.display()))]).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("platform: DATABASE_URL: cannot use SQLite at "), "{}", lines[0]);
}

#[tokio::test]
async fn a_folder_where_a_file_is_needed_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite://{}/file/platform.db", folder.path().display());
    for url in [url, format!("sqlite://{}", folder.path().display())] {
        let lines = refused(folder.path(), &[("DATABASE_URL", &url)]).await;
        assert_eq!(lines.len(), 1, "{lines:#?}");
    }
}

#[tokio::test]
async fn every_problem_of_a_catalog_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    let text = include_str!("../catalog.toml")
        .replace("forecast          = true", "forcast          = true")
        .replace("counts = \"level\"", "counts = \"levels\"");
    std::fs::write(&file, text).unwrap();
    let lines = refused(folder.path(), &[("CATALOG_PATH", file.to_str().unwrap())]).await;
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in &lines {
        let rest = line.strip_prefix(&format!("platform: {}:", file.display())).unwrap();
        let mut place = rest.split(':');
        assert!(place.next().unwrap().parse::<usize>().is_ok(), "{line}");
        assert!(place.next().unwrap().parse::<usize>().is_ok(), "{line}");
        assert!(line.contains("did you mean"), "{line}");
    }
}

#[tokio::test]
async fn a_catalog_without_a_name_that_the_routes_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    std::fs::write(&file, "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }\n")
        .unwrap();
    let lines = refused(folder.path(), &[("CATALOG_PATH", file.to_str().unwrap())]).await;
    assert!(lines.iter().any(|line| line.contains("`forecast` is missing")), "{lines:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn it_starts_with_nothing_says_so_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = platform(folder.path(), &[]).spawn().unwrap();
    let mut greeting = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        greeting += &line;
        greeting.push('\n');
        if line.contains("/dev/clock") {
            break;
        }
    }
    for text in [
        "/api/billing/subscriptions",
        "fake Stripe",
        "DEVELOPMENT",
        "starter-co, pro-co, enterprise-co",
        "curl -i -X POST http://127.0.0.1:",
    ] {
        assert!(greeting.contains(text), "{text} in {greeting}");
    }
    assert!(folder.path().join(".data/platform.db").exists());

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
