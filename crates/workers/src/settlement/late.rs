//! Answers that come unasked: second copies and late ones. The engine says what they come to.

use std::sync::Arc;

use florin_engine::{
    command::Outcome,
    ids::{CardId, RequestId},
};
use florin_issuer::{Answer, LateAnswer, Refusal};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::Options;
use super::accounts::Accounts;
use super::submit::{Submitted, settle, submit};
use crate::derive::is_change;
use crate::engine::Engine;
use crate::translate;

/// How often one is delivered to an engine that cannot take it now, before the issuer is left to be asked.
const TRIES_MAX: u32 = 10;

pub(crate) struct Late<E> {
    pub(crate) engine: E,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) options: Options,
}

impl<E: Engine> Late<E> {
    /// Settles what comes until told to stop, or until nothing can come any more.
    pub(crate) async fn run(self, mut answers: mpsc::Receiver<LateAnswer>, mut stop: watch::Receiver<bool>) {
        loop {
            let answer = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                answer = answers.recv() => answer,
            };
            let Some(answer) = answer else { return };
            let outcome = self.settle(&answer).await;
            metrics::counter!("florin_settlement_late_answers_total", "outcome" => outcome).increment(1);
            tracing::info!(?answer, outcome, "an answer came unasked");
        }
    }

    async fn settle(&self, answer: &LateAnswer) -> &'static str {
        let Some((request, card, outcome)) = read(answer) else {
            return "ignored";
        };
        let account = match self.accounts.of(card) {
            Some(account) => account,
            None => match self.engine.work_of_card(card).await {
                Ok(Some(work)) => work.account,
                // Nothing waits for it, and the card has not been worked on of late: whose it is cannot be said here.
                found => {
                    let unavailable = found.err().map(|error| error.to_string());
                    tracing::error!(
                        request = %request,
                        card = %card.uuid(),
                        unavailable,
                        "an answer came late, and whose card it is about is not known: compare the card with the issuer's"
                    );
                    return "unknown card";
                }
            },
        };
        for _ in 0..TRIES_MAX {
            let envelope = settle(account, card, request, outcome.clone(), self.options.clock.wall_ms());
            match submit(&self.engine, envelope).await {
                Submitted::Settled => return "delivered",
                Submitted::Refused(reject) => {
                    tracing::warn!(%reject, "the engine refuses a late answer");
                    return "refused";
                }
                Submitted::Later(_) => tokio::time::sleep(self.options.pause).await,
            }
        }
        // If it still matters, its item is on the queue, and the issuer is asked by request id.
        "given up"
    }
}

/// The request, card and outcome of an answer that the engine can take.
fn read(answer: &LateAnswer) -> Option<(RequestId, CardId, Outcome)> {
    let (request, card, outcome) = match answer {
        LateAnswer::Issue { request_id, card_id, answer: Answer::Done(issued) } => {
            (request_id, card_id, Outcome::Issued(translate::issued(issued).ok()?))
        }
        // A conflict says nothing about the card, see the consumer.
        LateAnswer::Issue { answer: Answer::Refused(Refusal::Conflict), .. } => return None,
        LateAnswer::Issue { request_id, card_id, answer: Answer::Refused(refusal) }
        | LateAnswer::Status { request_id, card_id, answer: Answer::Refused(refusal) }
        | LateAnswer::Limits { request_id, card_id, answer: Answer::Refused(refusal) } => {
            (request_id, card_id, Outcome::Refused(translate::refusal(*refusal)))
        }
        LateAnswer::Status { request_id, card_id, answer: Answer::Done(()) }
        | LateAnswer::Limits { request_id, card_id, answer: Answer::Done(()) } => (request_id, card_id, Outcome::Done),
    };
    let known = |id: &Uuid| id.into_bytes();
    is_change(*request).then(|| (RequestId(known(request)), CardId(known(card)), outcome))
}
