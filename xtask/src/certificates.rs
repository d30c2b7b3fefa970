//! Certificates for servers on 127.0.0.1, and what a client needs to trust them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::run;
use crate::tools;

/// Making a key and signing with it takes less than a second.
const OPENSSL: Duration = Duration::from_secs(30);

/// Writes `ca.pem`, a certificate authority, and `server.pem` with `server.key`, a certificate for
/// 127.0.0.1 and localhost that it signed.
pub(crate) fn certificates(folder: &Path) -> Result<()> {
    let openssl = |words: &str| -> Result<()> {
        let mut command = Command::new(tools::require("openssl")?);
        command
            .current_dir(folder)
            .arg(words.split(' ').next().unwrap_or_default());
        run(command.args(words.split(' ').skip(1)), OPENSSL)?.success()?;
        Ok(())
    };
    fs::write(
        folder.join("san"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -days 2 -subj /CN=interop -keyout ca.key -out ca.pem"
    ))?;
    openssl(&format!(
        "req {key} -subj /CN=127.0.0.1 -keyout server.key -out server.csr"
    ))?;
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem",
    )
}
