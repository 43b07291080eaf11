//! Taking an item: a delivery, and then the lease on its card.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::item::Stored;
use super::super::{Error, Lease};
use super::broker::{Pulled, Put};
use super::card::Holder;
use super::names::{CONSUMER, parse_item};
use super::{Held, Inner, RACES_MAX, millis, nak, now_ms, streams};

/// How long one pull waits at the server.
const PULL: Duration = Duration::from_secs(5);
/// How long an item is put off whose card is busy, or has an earlier one that is ready.
const BUSY: Duration = Duration::from_millis(150);
/// Most cards of which it is remembered since when they are busy.
const SEEN_MAX: usize = 65_536;

/// The next item, or `None` when nobody waits for it any more.
pub(super) async fn next(
    inner: &Inner,
    wanted: &mut oneshot::Sender<Result<Lease, Error>>,
) -> Option<Result<Lease, Error>> {
    while !wanted.is_closed() {
        let taken = match inner.broker.pull(&inner.names.items, CONSUMER, PULL).await {
            Ok(Pulled::Nothing) => continue,
            Ok(Pulled::Message(message)) => match message.reply.as_ref() {
                Some(reply) if wanted.is_closed() => {
                    let told = inner.broker.tell("giving an item back", reply, &nak(Duration::ZERO)).await;
                    return told.err().map(Err);
                }
                Some(reply) => acquire(inner, reply, &message.payload).await,
                None => continue,
            },
            // Away, or without the streams: those are made again.
            Err(_) => streams::ensure(&inner.broker, &inner.names, inner.shape).await.map(|()| None),
        };
        match taken {
            Ok(Some(lease)) => return Some(Ok(lease)),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// Takes the lease of a delivered item, or gives the item back if it is not its turn.
async fn acquire(inner: &Inner, reply: &str, body: &[u8]) -> Result<Option<Lease>, Error> {
    let delivered = Stored::decode(body).zip(delivery(reply));
    let Some((Stored { item, .. }, (delivery, message))) = delivered else {
        tracing::warn!("an item of the work queue cannot be read; the sweeper brings it back");
        inner.broker.tell("dropping what is no item", reply, "+TERM").await?;
        return Ok(None);
    };
    let id = item.id();
    for _ in 0..RACES_MAX {
        let (record, letter) = tokio::try_join!(inner.card(item.card), inner.letter(id))?;
        let (revision, mut card) = record;
        let mut tries = card.tries(id).map_or(0, |tried| tried.tries);
        if let Some(holder) = card.holder {
            // A later delivery says that the time of the earlier one was over; it may have asked, and counts as a try.
            let same = holder.id == id;
            let over = same && holder.message == message && holder.delivery < delivery;
            if !over && !stands_still(inner, &item.card, revision) {
                break;
            }
            tries = tries.saturating_add(u32::from(same));
        }
        if let Some((_, letter)) = &letter {
            tries = tries.max(letter.tries);
        }
        if earlier(inner, &item, &card).await? {
            break;
        }
        let nonce =
            getrandom::u64().map_err(|error| Error::Storage { doing: "taking an item", source: error.into() })?;
        let nonce = nonce.max(1);
        card.holder = Some(Holder { nonce, id, message, delivery });
        card.set(id, (tries > 0).then_some((tries, 0)));
        let subject = inner.names.card(item.card);
        let revision = match inner.put("taking an item", &subject, &card.encode(), Some(revision)).await? {
            Put::Stored(revision) => revision,
            Put::Full | Put::Nowhere => return Err(Error::Full { max: inner.shape.capacity }),
            // Perhaps by this very write, whose answer was lost.
            Put::Conflict => match inner.card(item.card).await? {
                (revision, now) if now == card => revision,
                _ => continue,
            },
        };
        let death = letter.and_then(|(_, letter)| letter.death);
        let dead = death.is_some();
        let since = Instant::now();
        inner.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&item.card);
        inner.keep(nonce, Held { revision, card, nonce, reply: reply.to_owned(), death, since });
        return Ok(Some(Lease { item, tries, dead, token: nonce }));
    }
    inner.broker.tell("giving an item back", reply, &nak(BUSY)).await?;
    Ok(None)
}

/// Whether a busy card's record has not moved for a whole lease: whoever had it is gone.
fn stands_still(inner: &Inner, card: &florin_engine::ids::CardId, revision: u64) -> bool {
    let mut seen = inner.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if seen.len() >= SEEN_MAX {
        seen.clear();
    }
    let now = Instant::now();
    let (at, since) = seen.entry(*card).or_insert((revision, now));
    if *at != revision {
        (*at, *since) = (revision, now);
    }
    since.elapsed() >= inner.shape.lease
}

/// Whether an earlier change of the card is on the queue and does not wait for its next try.
async fn earlier(inner: &Inner, item: &super::super::Item, card: &super::card::Card) -> Result<bool, Error> {
    let filter = inner.names.items_of(item.card);
    let subjects = inner.broker.subjects("looking for earlier items", &inner.names.items, &filter).await?;
    let now_ms = now_ms() + millis(BUSY);
    let mine = (item.change, item.id());
    let mut others = subjects.iter().filter_map(|subject| parse_item(subject)).filter(|other| *other < mine);
    Ok(others.any(|(_, id)| card.tries(id).is_none_or(|tried| tried.ready_at_ms <= now_ms)))
}

/// Which delivery, and which sequence, from `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.…`.
fn delivery(reply: &str) -> Option<(u64, u64)> {
    let parts: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let at = if parts.len() >= 9 { 4 } else { 2 };
    Some((parts.get(at)?.parse().ok()?, parts.get(at + 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_deliverys_reply_are_read() {
        assert_eq!(delivery("$JS.ACK.FLORIN_main_SETTLEMENT.settlement.3.17.20.1700000000000000000.0"), Some((3, 17)));
        let long = "$JS.ACK._.hash.FLORIN_main_SETTLEMENT.settlement.3.17.20.1700000000000000000.0.token";
        assert_eq!(delivery(long), Some((3, 17)));
        assert_eq!(delivery("_INBOX.1.2"), None);
    }
}
