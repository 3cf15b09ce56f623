//! The strict front door: what may mean one thing to the gateway and another to a node never passes it.
//!
//! The tables in edge/corpus are raw messages. The origin behind the gateway keeps every byte that it receives, and reads
//! them with a strict parser of its own (`strict`), which shares no code with the gateway's.

mod bodies;
mod cases;
mod guards;
mod origin;
mod requests;
mod responses;
mod strict;
