//! The dialects: one folder for each document that is served, each with its routes, its wire types and its wording.
//!
//! A dialect implements [`crate::http::problem::Dialect`] and offers `router(gateway, prefix)`; everything else it takes from
//! [`crate::gateway`] and [`crate::http`].

pub mod baas;
pub mod dashboard;
pub mod mobile;
