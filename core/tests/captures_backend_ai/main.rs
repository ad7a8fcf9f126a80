//! Exchanges recorded with managers 23.09.10 and 26.9.6 of Backend.AI.

mod create;
mod events;
mod files;
mod list;
mod login;
mod negotiate;
mod streamed;
mod support;
