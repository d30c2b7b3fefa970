//! A network of our own, where that of the machine would hide the servers.
//!
//! bbr paces by timers what it sends, over the loopback interface too: here any server then had half
//! of its throughput at five times the processor time, and the timers were what was measured. So under
//! bbr the benchmark runs once more in a network namespace of its own without pacing; nothing outside
//! of it changes. Machines as they are installed use cubic, and need none of this.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::run;
use crate::tools;

const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
/// The one without pacing that every kernel has and every namespace may choose.
const UNPACED: &str = "reno";
/// Tells the second run that it is one.
const SECOND: &str = "XTASK_BENCH_IN_OWN_NETWORK";
/// Setting up an interface takes milliseconds.
const SETUP: Duration = Duration::from_secs(10);

/// What the kernel decides by how fast it sends.
pub(crate) fn congestion_control() -> String {
    let text = fs::read_to_string(CONGESTION).unwrap_or_default();
    text.trim().to_owned()
}

/// Runs this program again in a network of its own, if the network here paces and this is root; and
/// says whether it did. Everything has to be installed before: from in there nothing can be fetched.
pub(crate) fn run_again_unpaced() -> Result<bool> {
    if env::var_os(SECOND).is_some() {
        let ip = tools::require("ip")?;
        run(Command::new(ip).args(["link", "set", "lo", "up"]), SETUP)?.success()?;
        fs::write(CONGESTION, UNPACED).with_context(|| format!("cannot write {CONGESTION}"))?;
        return Ok(false);
    }
    if congestion_control() != "bbr" {
        return Ok(false);
    }
    let tools = (tools::require("unshare"), tools::require("ip"));
    let (true, (Ok(unshare), Ok(_))) = (rustix::process::geteuid().is_root(), tools) else {
        println!(
            "note: bbr paces the loopback interface; as root, with unshare and ip, it would not"
        );
        return Ok(false);
    };
    println!("bbr paces the loopback interface: running in a network namespace without it");
    let status = Command::new(unshare)
        .args(["--net", "--"])
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(SECOND, "1")
        .status()?;
    ensure!(
        status.success(),
        "the run in a network of its own ended with {status}"
    );
    Ok(true)
}
