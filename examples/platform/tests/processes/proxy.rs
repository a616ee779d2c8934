//! The network between one process and Redis.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Connections are closed, and new ones, too.
    Down,
    /// Nothing gets through in either direction, and nothing is closed. What is lost then stays lost.
    BlackHole,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (weather, seen) = watch::channel(Weather::Fair);
        let socket = Arc::new(socket);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() == Weather::Down {
                    continue;
                }
                let _ = client.set_nodelay(true);
                let (socket, seen) = (Arc::clone(&socket), seen.clone());
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(socket.as_ref()).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = pass(from_client, to_server, seen.clone()) => {}
                        () = pass(from_server, to_client, seen) => {}
                    }
                });
            }
        });
        Self { url, weather }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// Passes on what comes, until an end closes or the network does. Bytes that were lost leave a gap, so whatever comes after
/// them is lost, too.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 65536];
    let mut is_lost = false;
    loop {
        tokio::select! {
            changed = weather.changed() => {
                if changed.is_err() || *weather.borrow() == Weather::Down {
                    return;
                }
            }
            read = from.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                is_lost |= *weather.borrow() == Weather::BlackHole;
                if !is_lost && to.write_all(buffer.get(..length).unwrap()).await.is_err() {
                    return;
                }
            }
        }
    }
}
