//! A wire between a process and a NATS server that can be cut and healed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It arrives.
    Open,
    /// It arrives once the line is open again, even if the sender no longer waits: the network's way to be gone.
    Silent,
    /// Connections end with what is under way on them, and new ones are refused.
    Cut,
}

/// The wire, until dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// Before the server at this port of loopback.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = watch::Sender::new(Line::Open);
        let mut state = line.subscribe();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    gone = state.changed() => if gone.is_err() { return } else { continue },
                };
                let Ok((near, _)) = accepted else { continue };
                if *state.borrow() == Line::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, state.clone()));
                tokio::spawn(carry(far_in, near_out, state.clone()));
            }
        });
        Self { address, line }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

/// Carries bytes one way until an end closes or the line is cut.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<Line>) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            cut = line.wait_for(|line| *line == Line::Cut) => { drop(cut); return }
        };
        let Ok(read @ 1..) = read else { return };
        match line.wait_for(|line| *line != Line::Silent).await.as_deref() {
            Ok(Line::Open) => {}
            _ => return,
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
