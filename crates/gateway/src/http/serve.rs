//! Serving a router on a listener until told to stop, without letting slow clients take what all share.
//!
//! HTTP/1.1 only: TLS, and with it HTTP/2, ends at the API gateway in front.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Method, header},
    response::Response,
    serve::Listener,
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower::Service;

/// Connections that may wait to be accepted, within what the system allows. So many come at once when a proxy in front starts
/// anew, and one that finds no place here tries again only after a second.
const BACKLOG: i32 = 4_096;

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long open requests may finish after the shutdown began [10 s].
    pub drain: Duration,
    /// How long a client may take for the head of a request, the wait for it included: so long, too, an idle connection
    /// is kept [75 s, longer than the proxies in front keep theirs, which would else send into a closed one].
    pub head: Duration,
    /// Most connections at once [4,096]. When there are so many, the next is accepted once one closes.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { drain: Duration::from_secs(10), head: Duration::from_secs(75), connections: 4_096 }
    }
}

/// [`serve_with`] defaults but for `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    drain: Duration,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_with(listener, router, Settings { drain, ..Settings::default() }, shutdown).await
}

/// Serves until `shutdown` resolves, then stops accepting, lets the requests under way finish, and returns at the latest
/// after `settings.drain`.
pub async fn serve_with(
    mut listener: TcpListener,
    router: Router,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    if let Err(error) = rustix::net::listen(&listener, BACKLOG) {
        tracing::debug!(%error, "the listener keeps its short queue");
    }
    // Once for all connections, as it makes new routes.
    let router: Router = router.with_state(());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.head);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Errors of accepting are logged and waited out there.
            (stream, peer) = Listener::accept(&mut listener), if connections.len() < settings.connections => {
                connections.spawn(connection(http.clone(), stream, peer, router.clone(), stopped.clone()));
            }
            // A connection that panicked is its own affair.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.drain, finished).await.is_err() {
        tracing::warn!("connections were still open {:?} after the shutdown began", settings.drain);
        connections.detach_all();
    }
    Ok(())
}

/// Answers one request. HEAD is refused in the words of the API it is sent to, but for probes: a GET may do more than tell, it
/// records a reveal or makes a one-time code, and nobody is to do that without seeing the answer. The routing takes HEAD for
/// GET, so this is in front of it.
pub fn answer(router: &Router, mut request: Request<Body>) -> impl Future<Output = Response> + use<> {
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if request.method() == Method::HEAD && !probe {
        // A method that no route has, so that the routing answers as for any other.
        *request.method_mut() = Method::TRACE;
    }
    let answer = router.clone().call(request);
    async move {
        let mut response = answer.await.unwrap_or_else(|never| match never {});
        if !probe && let Some(allowed) = response.headers().get(header::ALLOW) {
            let allowed = allowed.to_str().unwrap_or_default().split(',').filter(|method| method.trim() != "HEAD");
            if let Ok(allowed) = HeaderValue::from_str(&allowed.collect::<Vec<_>>().join(",")) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
        }
        response
    }
}

async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small and waited for: they must not wait for more to send.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection keeps delaying small answers");
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = answer(&router, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut stopping = pin!(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopping.as_mut() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended badly");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Server {
        address: SocketAddr,
        requests: Arc<AtomicUsize>,
        stop: oneshot::Sender<()>,
        served: tokio::task::JoinHandle<io::Result<()>>,
    }

    /// Answers `ok`, at once.
    fn start(settings: Settings) -> Server {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let router = Router::new().route(
            "/",
            get(async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
                counted.fetch_add(1, Ordering::SeqCst);
                assert!(peer.ip().is_loopback());
                "ok"
            }),
        );
        // With the short queue that the standard library gives it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve_with(listener, router, settings, async move {
            let _ = stopped.await;
        }));
        Server { address, requests, stop, served }
    }

    impl Server {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }
    }

    async fn answer(stream: &mut TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed: {}", answer.escape_ascii());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    }

    #[tokio::test]
    async fn a_request_whose_head_does_not_come_is_closed_and_others_are_served_meanwhile() {
        let server = start(Settings { head: Duration::from_millis(300), ..Settings::default() });
        // Given half a head, and a connection that says nothing
        let mut half = server.connect().await;
        half.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut silent = server.connect().await;
        // then another is answered,
        let mut other = server.connect().await;
        other.write_all(REQUEST).await.unwrap();
        answer(&mut other).await;
        // and both are closed.
        for stream in [&mut half, &mut silent] {
            assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        }
        assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn beyond_the_bound_a_connection_waits_until_one_closes() {
        let server = start(Settings { connections: 2, ..Settings::default() });
        let (mut first, mut second) = (server.connect().await, server.connect().await);
        for stream in [&mut first, &mut second] {
            stream.write_all(REQUEST).await.unwrap();
            answer(stream).await;
        }
        // Given a third
        let mut third = server.connect().await;
        third.write_all(REQUEST).await.unwrap();
        // when the others go on, then it is not looked at,
        for _ in 0..20 {
            first.write_all(REQUEST).await.unwrap();
            answer(&mut first).await;
        }
        assert_eq!(server.requests.load(Ordering::SeqCst), 22);
        // until one closes.
        drop(second);
        answer(&mut third).await;
    }

    /// Given a server that accepts nobody, many may wait all the same: none of them finds the door shut and comes again later.
    #[tokio::test]
    async fn many_may_wait_to_be_accepted() {
        let server = start(Settings { connections: 0, ..Settings::default() });
        // It has begun to serve when it has looked at its settings.
        tokio::task::yield_now().await;
        let mut waiting = Vec::new();
        for n in 0..300 {
            let connected = tokio::time::timeout(Duration::from_secs(20), server.connect()).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("connection {n} found no place")));
        }
        assert_eq!(server.requests.load(Ordering::SeqCst), 0);
        drop(waiting);
        server.stop.send(()).unwrap();
        server.served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn told_to_stop_it_closes_idle_connections_and_returns() {
        let server = start(Settings { drain: Duration::from_hours(1), ..Settings::default() });
        let mut idle = server.connect().await;
        idle.write_all(REQUEST).await.unwrap();
        answer(&mut idle).await;
        server.stop.send(()).unwrap();
        server.served.await.unwrap().unwrap();
        assert_eq!(idle.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
}
