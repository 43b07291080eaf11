//! One kept connection to the gateway, and a client that costs next to nothing beside it.
//!
//! Of an answer it reads the status line and the length; that is all a load generator needs, and a full client would take
//! the cores from what is measured.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Exit, Failure};

/// One kept connection, with one request in flight.
pub(super) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    whole: &'a [u8],
}

impl Answer<'_> {
    /// Refuses what is not a 200.
    pub(super) fn ok(self) -> Result<Self, Failure> {
        if self.status == 200 {
            return Ok(self);
        }
        let answer = String::from_utf8_lossy(self.whole);
        Err(super::load::wrong(format!("a request was not answered with 200 but {answer}")))
    }
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let open = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Self { stream, answer: Vec::with_capacity(4096) })
        };
        open.await.map_err(broken)
    }

    /// Sends a request, head and body, and reads the answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(request).await.map_err(broken)?;
        self.answer.clear();
        let mut head = None;
        let head = loop {
            if self.stream.read_buf(&mut self.answer).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            head = head.or_else(|| Head::of(&self.answer));
            match head {
                Some(head) if self.answer.len() >= head.bytes + head.length => break head,
                _ => {}
            }
        };
        let (_, body) = self.answer.split_at(head.bytes);
        Ok(Answer { status: head.status, body, whole: &self.answer })
    }
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the body; one without a length has none.
    length: usize,
    /// Bytes of the head itself.
    bytes: usize,
}

impl Head {
    /// `None` until it is there as a whole.
    fn of(answer: &[u8]) -> Option<Self> {
        const LENGTH: &[u8] = b"content-length:";
        let (mut length, mut at) = (0, 0);
        loop {
            let line = answer.get(at..)?;
            let line = &line[..line.iter().position(|byte| *byte == b'\n')?];
            at += line.len() + 1;
            if line.trim_ascii().is_empty() {
                break;
            }
            if line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH)) {
                length = number(&line[LENGTH.len()..]);
            }
        }
        // `HTTP/1.1 200 OK`
        Some(Self { status: u16::try_from(number(answer.get(9..12)?)).unwrap_or(0), length, bytes: at })
    }
}

/// Digits, with white space around them; 0 for anything else.
fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)
}

fn broken(cause: io::Error) -> Failure {
    Failure::new(Exit::Stopped, "a connection to the gateway broke").because(cause)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_tells_status_and_length_once_it_is_whole() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for bytes in 0..head.len() {
            assert_eq!(Head::of(&head[..bytes]), None, "{bytes}");
        }
        assert_eq!(Head::of(head), Some(Head { status: 200, length: 5, bytes: 38 }));
        assert_eq!(Head::of(b"HTTP/1.1 204 No\r\n\r\n"), Some(Head { status: 204, length: 0, bytes: 19 }));
    }

    /// Given an answer that comes in pieces, it is read to its end and no further.
    #[tokio::test]
    async fn an_answer_is_whole_with_its_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let served = tokio::spawn(async move {
            for piece in ["HTTP/1.1 40", "9 Conflict\r\ncontent-length: 5\r\n\r", "\nab", "cde"] {
                server.write_all(piece.as_bytes()).await.unwrap();
                server.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            server
        });
        let answer = connection.ask(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!((answer.status, answer.body), (409, &b"abcde"[..]));
        assert!(answer.ok().is_err());
        drop(served.await.unwrap());
        assert!(connection.ask(b"GET / HTTP/1.1\r\n\r\n").await.is_err(), "the server has gone");
    }
}
