//! Servers that replicate.

use std::sync::Arc;

use super::process::{self, Process};
use super::{NatsServer, await_answer, connect};

/// Several servers of one cluster. Dropping it kills them all.
pub struct NatsCluster {
    /// The servers; each can be killed, restarted, paused and resumed by itself.
    pub servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts `servers` of them and waits until they have a leader.
    pub(super) async fn start(servers: usize) -> Self {
        let directory = Arc::new(process::directory());
        // Ports are known to all before the first starts; whoever took one in between makes all start again.
        for _ in 0..20 {
            let routes: Vec<u16> = (0..servers).map(|_| process::free_port()).collect();
            let list: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
            let start = |(n, port): (usize, &u16)| {
                let configuration = format!(
                    "cluster {{ name: florin-test, listen: \"127.0.0.1:{port}\", routes: [{}] }}\n",
                    list.join(", ")
                );
                Process::try_start(process::current(), &configuration, &directory, &format!("n{n}"))
            };
            let started: Option<Vec<Process>> = routes.iter().enumerate().map(start).collect();
            if let Some(started) = started {
                let cluster = Self { servers: started.into_iter().map(|process| NatsServer { process }).collect() };
                cluster.ready().await;
                return cluster;
            }
        }
        panic!("no free ports for a cluster");
    }

    /// Addresses of all servers, separated by commas.
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// A new connection to any of the servers.
    pub async fn connect(&self) -> async_nats::Client {
        connect(&self.url()).await
    }

    /// Waits until every server knows a leader.
    pub async fn ready(&self) {
        for server in &self.servers {
            await_answer(&server.connect().await, &server.process).await;
        }
    }
}
