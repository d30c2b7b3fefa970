//! A registry over HTTP: routes, handlers, configuration, TLS, health and metrics.
//!
//! A request goes through four rooms in one direction: [`App::handle`] reads its words, `route`
//! finds its handler, the handler calls the [registry](dockhand_registry::Registry), and `respond`
//! writes the answer.

mod activity;
pub mod admin;
mod app;
mod arriving;
mod body;
mod cidr;
mod client;
pub mod config;
mod dates;
mod error;
mod exposure;
mod forwarded;
mod guarded;
mod handlers;
mod handshake;
mod head;
mod health;
mod linger;
mod listen;
mod location;
mod metrics;
mod metrics_address;
mod observe;
mod parse_errors;
mod per_address;
mod request;
mod respond;
mod route;
mod run;
mod sendfile;
mod setup;
mod sockets;
mod store;
mod tls;
mod unsent;

pub use app::{App, Options, Peer};
pub use cidr::{Cidr, CidrError};
pub use listen::{Limits, serve};
pub use location::Addressing;
pub use run::{Reload, RunError, Server, Setup};
pub use sockets::Sockets;
pub use tls::{Tls, TlsError, TlsFiles};
