//! `sorna serve --jupyter`: the API of Jupyter's servers.

mod access;
mod channels;
mod clients;
mod kernels;
mod page;

mod peer;
