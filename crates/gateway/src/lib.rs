//! The gateway: HTTP in front of the engine, the only crate with API types.
//!
//! Requests become commands, views become answers; nothing here decides anything about money or cards.
//!
//! Shape: [`http`] is what no document words its own way, [`Gateway`] what every dialect does with the [`Ports`] behind it,
//! [`dialects`] one folder for each document; [`public_router`] puts them behind one [`http::edge`].

pub mod dialects;
pub mod gateway;
pub mod health;
pub mod http;
pub mod issuer_inbound;
pub mod nats_reads;
pub mod ops;
pub mod people;
pub mod policy_document;
pub mod ports;
pub mod public;
pub mod sandbox;
pub mod secure_page;
pub mod settings;

pub use gateway::Gateway;
pub use ports::Ports;
pub use public::{alone, listener, public_router, waiting_listener, with_edge};
pub use settings::Settings;
