//! What lets in more people than may be meant, told at the start.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::run::Setup;

/// Warns of an address that other machines can reach, when nobody has to show who he is.
pub(crate) fn warn_of_address(address: SocketAddr, setup: &Setup) {
    let shows = setup
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_authorities.is_some());
    if address.ip().is_loopback() || shows {
        return;
    }
    let can = match (setup.settings.read_only, setup.settings.delete) {
        (true, _) => "pull everything",
        (false, true) => "pull, push and delete everything",
        (false, false) => "pull everything and push",
    };
    tracing::warn!(
        %address,
        "NO LOGIN: anyone who can reach this address can {can}; limit access with a firewall, with client \
         certificates (server.tls.client-ca), or with a proxy that authenticates"
    );
}

/// Bits of a mode that let others than owner and group read or write.
const OTHERS: u32 = 0o006;

/// Warns of a private key that every user of the machine can read. A group may be meant: that of the
/// program that renews certificates.
pub(crate) fn warn_of_key(key: &Path) {
    // What cannot be looked at is told by whoever reads it.
    let Ok(found) = std::fs::metadata(key) else {
        return;
    };
    let mode = found.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        tracing::warn!(
            key = %key.display(),
            mode = %format_args!("{mode:03o}"),
            "the private key can be read by every user of this machine; allow only its owner: chmod 600"
        );
    }
}
