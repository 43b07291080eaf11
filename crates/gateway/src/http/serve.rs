//! Serving a router on a listener until told to stop.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch};

/// Serves until `shutdown` resolves, then stops accepting, lets the requests under way finish, and returns at the latest
/// after `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    drain: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Answers are small and waited for: they must not wait for more to send.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection keeps delaying small answers");
        }
    });
    let (stopping, mut stopped) = watch::channel(false);
    let told = async move {
        shutdown.await;
        stopping.send_replace(true);
    };
    let told = tokio::spawn(told);
    let mut graceful = stopped.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = graceful.wait_for(|stop| *stop).await;
    });
    let late = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(drain).await;
    };
    let done = tokio::select! {
        done = serving.into_future() => done,
        () = late => {
            tracing::warn!("connections were still open {drain:?} after the shutdown began");
            Ok(())
        }
    };
    told.abort();
    done
}
