//! The NATS provider against the contract, on a current server and, at the operator's risk, on an old one.

use std::sync::Arc;

use florin_journal::conformance::{self, Damage, Fixture};
use florin_journal::nats::Nats;
use florin_journal::testing::NatsServer;
use florin_journal::{Error, HEADER_BYTES};
use tokio::sync::Mutex;

use super::support::{STREAM, context, create, key, messages, replace, settings};

/// A ledger on a server of its own.
struct Server<const OLD: bool>(Arc<Mutex<NatsServer>>);

impl<const OLD: bool> Fixture for Server<OLD> {
    type Provider = Nats;

    async fn create() -> Self {
        let server = if OLD { NatsServer::start_old().await } else { NatsServer::start().await };
        create(&server).await;
        Self(Arc::new(Mutex::new(server)))
    }

    async fn open(&mut self) -> Result<Nats, Error> {
        let server = self.0.lock().await;
        Nats::open(server.connect().await, "test", Some(key()), settings(&server)).await
    }

    async fn crash(&mut self) -> Self {
        self.0.lock().await.restart().await;
        Self(self.0.clone())
    }

    async fn damage(&mut self, damage: Damage) {
        let context = context(&*self.0.lock().await).await;
        if damage == Damage::RemovePartition {
            context.delete_stream(STREAM).await.expect("deleted");
            return;
        }
        let mut messages = messages(&context).await;
        let at = |index: u64| usize::try_from(index).expect("small");
        match damage {
            // A server drops a message of which it stored a part.
            Damage::TearLast => drop(messages.pop()),
            Damage::FlipByte { index } => messages[at(index)].1[HEADER_BYTES + 5] ^= 1,
            Damage::CutFrom { index } => messages.truncate(at(index)),
            Damage::RemovePartition => unreachable!("done above"),
        }
        replace(&context, messages).await;
    }

    async fn stored(&mut self) -> Vec<u8> {
        let context = context(&*self.0.lock().await).await;
        messages(&context).await.into_iter().flat_map(|(_, payload)| payload).collect()
    }
}

macro_rules! checks {
    ($($check:ident)*) => {
        $(#[tokio::test]
        async fn $check() {
            conformance::$check::<Server<false>>().await;
        })*

        mod old {
            use super::{Server, conformance};

            $(#[tokio::test]
            async fn $check() {
                conformance::$check::<Server<true>>().await;
            })*
        }
    };
}

checks! {
    order_without_gaps
    acknowledged_survives_a_crash
    torn_tail_is_cut
    corruption_is_named_and_kept
    second_claim_deposes_the_first
    reader_from_any_index
    reader_waits
    confirm_compares
    missing_and_shorter_are_refused
    bad_batches_are_refused_and_harmless
}
