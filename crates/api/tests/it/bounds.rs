//! What a client sends is bounded before it is kept: frames, bodies, and what they become in memory.

mod bodies;
mod connections;
mod frames;
