//! Who may come in, from outside: real SQLite, real files, a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod audit;
mod keys;
mod limits;
mod passwords;
mod processes;
mod sessions;
mod shell_token;
mod source_tokens;
mod statements;
mod uses;
mod world;
