//! CNCF Distribution, the registry that most people run, versions 2 and 3.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// The command that serves a folder, as its own image does, with deletes; with a log of requests only
/// if asked for, and over TLS with the certificate in `certificates`, if given.
pub(crate) fn serve(
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    log: bool,
    certificates: Option<&Path>,
) -> Result<Command> {
    let mut text = format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: {}\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  cache:\n    blobdescriptor: inmemory\n\
         \x20 delete:\n    enabled: true\n  maintenance:\n    uploadpurging:\n      enabled: false\n\
         http:\n  addr: {address}\n  secret: bench\n",
        !log,
        folder.join("data").display(),
    );
    if let Some(certificates) = certificates {
        writeln!(
            text,
            "  tls:\n    certificate: {0}/server.pem\n    key: {0}/server.key\n    minimumtls: tls1.3",
            certificates.display()
        )?;
    }
    let file = folder.join("config.yml");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg(file)
        .env("OTEL_TRACES_EXPORTER", "none");
    Ok(command)
}
