//! Stories on a real embedded journal: what the views show, and how they follow, break and are rebuilt.

mod due;
mod following;
mod shown;
mod world;
