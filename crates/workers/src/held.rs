//! Which partitions are looked after in this process.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// All of them, or those of a lease.
#[derive(Clone, Debug)]
pub(crate) struct Held(Option<watch::Receiver<BTreeSet<u16>>>);

impl Held {
    pub(crate) const fn new(leased: Option<watch::Receiver<BTreeSet<u16>>>) -> Self {
        Self(leased)
    }

    /// Whether a partition is held now. A placement that has ended holds nothing.
    pub(crate) fn has(&self, partition: u16) -> bool {
        self.0.as_ref().is_none_or(|held| held.has_changed().is_ok() && held.borrow().contains(&partition))
    }

    /// Waits until a partition is held here, for ever if it never is.
    pub(crate) async fn gained(&mut self, partition: u16) {
        if let Some(held) = &mut self.0
            && held.wait_for(|held| held.contains(&partition)).await.is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a partition is no longer held here.
    pub(crate) async fn lost(&mut self, partition: u16) {
        match &mut self.0 {
            None => std::future::pending().await,
            // An error says that the placement has ended, and with it the lease.
            Some(held) => {
                let _ = held.wait_for(|held| !held.contains(&partition)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn partitions_come_and_go_and_a_placement_that_ended_holds_nothing() {
        assert!(Held::new(None).has(7));
        let (placement, held) = watch::channel(BTreeSet::from([1]));
        let mut held = Held::new(Some(held));
        assert!(held.has(1) && !held.has(2));
        held.gained(1).await;
        placement.send_replace(BTreeSet::from([2]));
        held.lost(1).await;
        held.gained(2).await;
        drop(placement);
        held.lost(2).await;
        assert!(!held.has(2));
    }
}
