//! A company's receiver: a small HTTP server that remembers what it was sent and answers as it is told.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of stories")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// What was answered; 0: nothing.
    pub answered: u16,
}

impl Got {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

type Answer = Box<dyn Fn(&Got, usize) -> u16 + Send>;

struct Inner {
    got: Vec<Got>,
    answer: Answer,
}

/// A receiver on loopback, until dropped.
pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner { got: Vec::new(), answer: Box::new(|_, _| 200) }));
        let task = Some(tokio::spawn(serve(listener, Arc::clone(&inner))));
        Self { address, inner, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is answered to a request, given how many came before it; 0: nothing, for ever.
    pub fn answers(&self, answer: impl Fn(&Got, usize) -> u16 + Send + 'static) {
        self.inner.lock().unwrap().answer = Box::new(answer);
    }

    /// Everything that came, in order.
    pub fn got(&self) -> Vec<Got> {
        self.inner.lock().unwrap().got.clone()
    }

    /// What was accepted, in order, each once.
    pub fn accepted(&self) -> Vec<Got> {
        let mut seen = std::collections::HashSet::new();
        let mut got = self.got();
        got.retain(|got| (200..300).contains(&got.answered) && seen.insert(got.id().to_owned()));
        got
    }

    /// Nobody listens any more.
    pub async fn goes_down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again where it did.
    pub async fn comes_up(&mut self) {
        if self.task.is_some() {
            return;
        }
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.inner))));
    }

    /// Waits until as many were accepted.
    pub async fn accepts(&self, count: usize) -> Vec<Got> {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        loop {
            let accepted = self.accepted();
            if accepted.len() >= count {
                return accepted;
            }
            assert!(tokio::time::Instant::now() < until, "{} of {count} accepted: {:?}", accepted.len(), self.got());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    // Connections end with the listener.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        connections.spawn(async move {
            let _ = connection(stream, &inner).await;
        });
    }
}

async fn connection(mut stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        let body = String::from_utf8(bytes[end..end + length].to_vec()).unwrap();
        bytes.drain(..end + length);
        let answered = {
            let mut inner = inner.lock().unwrap();
            let mut got = Got { path, headers, body, answered: 0 };
            got.answered = (inner.answer)(&got, inner.got.len());
            let answered = got.answered;
            inner.got.push(got);
            answered
        };
        if answered == 0 {
            std::future::pending::<()>().await;
        }
        // A redirect leads back here, where it would be seen.
        let answer = format!("HTTP/1.1 {answered} X\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\n{{}}");
        stream.write_all(answer.as_bytes()).await?;
    }
}
