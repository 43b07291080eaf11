//! The gateway: HTTP in front of the engine, the only crate with API types.
//!
//! Requests become commands, views become answers; nothing here decides anything about money or cards.

pub mod dialects;
pub mod gateway;
pub mod http;
pub mod people;
pub mod policy_document;
pub mod ports;
pub mod settings;

pub use gateway::Gateway;
pub use ports::Ports;
pub use settings::Settings;
