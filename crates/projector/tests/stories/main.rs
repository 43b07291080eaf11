//! Stories on a real embedded journal: what the views show, and how they follow, break and are rebuilt.

mod following;
mod shown;
mod world;
