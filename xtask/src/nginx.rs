//! nginx, as a process of its own: nothing of the nginx of the system is touched.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// The command that runs nginx in the foreground, in a directory, with this content of the `http` block.
pub(crate) fn command(program: &Path, directory: &Path, http: &str) -> Result<Command> {
    let mut text = String::from("daemon off;\nworker_processes auto;\npid nginx.pid;\n");
    if rustix::process::geteuid().is_root() {
        // Workers would change to a user who may not read the directory.
        text += "user root;\n";
    }
    text +=
        "error_log stderr crit;\nevents { worker_connections 1024; }\nhttp {\n  access_log off;\n";
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let directory = directory.join("temp").join(kind);
        fs::create_dir_all(&directory)?;
        writeln!(text, "  {kind}_temp_path {};", directory.display())?;
    }
    writeln!(text, "{http}\n}}")?;
    let file = directory.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(directory)
        .args(["-e", "stderr", "-c"])
        .arg(file);
    Ok(command)
}
