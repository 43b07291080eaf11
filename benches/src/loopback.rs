//! A kept connection to a server on loopback that asks one thing after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens there.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody who listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, answer: Vec::with_capacity(4096) }
    }

    /// Sends a request and waits for all of its answer; the status.
    ///
    /// # Panics
    /// If the connection ends, or the answer is no HTTP of a known length.
    pub fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).expect("a connection that is kept");
        self.answer.clear();
        let mut part = [0; 4096];
        loop {
            let read = self.stream.read(&mut part).expect("a connection that is kept");
            assert!(read > 0, "the connection is closed");
            self.answer.extend_from_slice(&part[..read]);
            assert!(self.answer.len() <= ANSWER_BYTES_MAX, "the answer is too long");
            if let Some(status) = whole(&self.answer) {
                return status;
            }
        }
    }
}

/// The status of an answer that is whole.
fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, value)| value.trim().parse().ok()).expect("a length");
    (answer.len() >= end + 4 + length).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(whole(answer), Some(201));
        assert!((0..answer.len()).all(|end| whole(&answer[..end]).is_none()));
    }
}
