//! A small mail server: it takes what it is sent, or fails as it is told.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of stories")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it answers the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// 451: later.
    Busy,
    /// 550: never.
    Refuses,
    /// Says nothing any more, after it was greeted.
    Hangs,
    /// Takes the message and dies before it says so.
    DiesAfter,
}

pub struct Smtp {
    pub address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    messages: Arc<Mutex<Vec<String>>>,
    tries: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Smtp {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, messages, tries) = (Arc::new(Mutex::new(mood)), Arc::default(), Arc::default());
        let shared = (Arc::clone(&mood), Arc::clone(&messages), Arc::clone(&tries));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (mood, messages, tries) = shared.clone();
                connections.spawn(async move {
                    let _ = talk(stream, &mood, &messages, &tries).await;
                });
            }
        });
        Self { address, mood, messages, tries, task }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Messages it took, whole.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits until it was asked as often.
    pub async fn asked(&self, tries: usize) {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        while *self.tries.lock().unwrap() < tries {
            assert!(tokio::time::Instant::now() < until, "asked {} times", self.tries.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(
    stream: TcpStream,
    mood: &Mutex<Mood>,
    messages: &Mutex<Vec<String>>,
    tries: &Mutex<usize>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let now = *mood.lock().unwrap();
        match line.split([' ', '\r']).next().unwrap().to_uppercase().as_str() {
            "EHLO" | "HELO" => stream.write_all(b"250 here\r\n").await?,
            "MAIL" => {
                *tries.lock().unwrap() += 1;
                match now {
                    Mood::Hangs => std::future::pending().await,
                    Mood::Busy => stream.write_all(b"451 later\r\n").await?,
                    Mood::Refuses => stream.write_all(b"550 never\r\n").await?,
                    Mood::Takes | Mood::DiesAfter => stream.write_all(b"250 ok\r\n").await?,
                }
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                messages.lock().unwrap().push(message);
                if now == Mood::DiesAfter {
                    return Ok(());
                }
                stream.write_all(b"250 taken\r\n").await?;
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => stream.write_all(b"250 ok\r\n").await?,
        }
    }
}
