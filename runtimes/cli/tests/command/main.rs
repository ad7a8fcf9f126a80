//! The command as a user starts it, with its output and its ends. One program for all of it: that is linked once, and
//! tests that wait leave the processor to others.
//!
//! What needs a process, or a machine, of its own is beside this directory.

mod advice;
mod attach;
mod backend_ai;
mod backend_ai_run;
mod book;
mod busy;
mod bytes;
mod code_from_stdin;
mod complete;
mod completions;
mod connections;
mod dead_connections;
mod disk;
mod downloads;
mod echo;
mod empty_directories;
mod env_file;
mod errors;
mod examples;
mod existing;
mod files;
mod full_pipes;
mod gateway_2017;
mod images;
mod in_use;
mod input;
mod interrupts;
mod json;
mod keep_alive;
mod kernels;
mod langs;
mod left;
mod lines;
mod local;
mod login;
mod logs;
#[cfg(feature = "mcp")]
mod mcp;
mod media;
mod modes;
mod openapi;
mod pages;
mod passwords;
mod piped;
mod programs;
mod repl;
mod repl_ends;
mod repl_idle;
mod repl_unfinished;
mod run;
mod search_path;
mod serve;
mod serve_keys;
mod sessions;
mod settings;
mod shared_input;
mod shell;
mod shortcuts;
mod signals;
mod starting;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod transcript;
mod unclaimed;
mod upload;
mod verbose;
mod waits;
mod ways;
mod words;
mod workdir;
mod wrong_values;
