//! The three streams and the consumer: made when they are missing, looked at when they are there.

use std::time::Duration;

use florin_journal::LedgerId;
use serde_json::{Value, json};

use super::super::Error;
use super::RACES_MAX;
use super::broker::Broker;
use super::names::{CONSUMER, Names};

/// Most deliveries of one consumer that are neither acknowledged nor over, waits for a next try included.
const PENDING_MAX: u64 = 65_536;
/// Most pulls that wait at once: consumers of all processes.
const PULLS_MAX: u64 = 4_096;

/// What the streams are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) ledger: LedgerId,
    pub(super) lease: Duration,
    pub(super) capacity: usize,
    pub(super) replicas: usize,
}

/// Makes what is missing.
pub(super) async fn ensure(broker: &Broker, names: &Names, shape: Shape) -> Result<(), Error> {
    let capacity = json!(shape.capacity);
    let items = json!({
        "subjects": [names.all_items()], "retention": "workqueue",
        "max_msgs": capacity, "max_msgs_per_subject": 1, "discard_new_per_subject": true,
    });
    // Dead letters and states are written over, one message a subject.
    let dead = json!({
        "subjects": [names.all_dead()], "retention": "limits",
        "max_msgs": capacity, "max_msgs_per_subject": 1,
    });
    let state = json!({ "subjects": names.all_state(), "retention": "limits", "max_msgs_per_subject": 1 });
    let streams = [(&names.items, items), (&names.dead, dead), (&names.state, state)];
    let consumer = json!({
        "stream_name": names.items,
        "config": {
            "durable_name": CONSUMER, "ack_policy": "explicit", "deliver_policy": "all", "replay_policy": "instant",
            "ack_wait": u64::try_from(shape.lease.as_nanos()).unwrap_or(u64::MAX),
            "max_deliver": -1, "max_ack_pending": PENDING_MAX, "max_waiting": PULLS_MAX,
        },
    });
    let (doing, call) = ("making the queue's consumer", format!("CONSUMER.DURABLE.CREATE.{}.{CONSUMER}", names.items));
    for _ in 0..RACES_MAX {
        for (name, config) in &streams {
            stream(broker, name, config.clone(), shape).await?;
        }
        // None: the stream was deleted meanwhile.
        if broker.api(doing, &call, &consumer).await?.is_some() {
            return Ok(());
        }
    }
    Err(Error::Refused { doing, reason: "the stream is gone again and again".into() })
}

async fn stream(broker: &Broker, name: &str, mut config: Value, shape: Shape) -> Result<(), Error> {
    let description = format!("florin settlement of ledger {}", shape.ledger);
    config["name"] = json!(name);
    config["description"] = json!(description);
    config["storage"] = json!("file");
    config["discard"] = json!("new");
    config["num_replicas"] = json!(shape.replicas);
    let found = broker.stream("making the queue's streams", name, &config).await?;
    let is = &found["config"];
    let foreign = |reason: String| Error::Foreign { stream: name.to_owned(), reason };
    if is["description"] != description.as_str() {
        return Err(foreign(format!("its description is {}, not {description:?}", is["description"])));
    }
    for field in ["subjects", "retention", "max_msgs_per_subject", "discard_new_per_subject"] {
        if !config[field].is_null() && is[field] != config[field] {
            return Err(foreign(format!("its {field} is {}, not {}", is[field], config[field])));
        }
    }
    Ok(())
}
