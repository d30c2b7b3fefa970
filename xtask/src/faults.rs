//! `cargo xtask faults`: crashes the registry under load, again and again, and checks that it keeps
//! what it acknowledged.
//!
//! - `kill`: SIGKILL at random moments under parallel pushes.
//! - `powercut`: the same, with the file system below the data shut down without flushing.
//! - `diskfull`: bytes and inodes run out, and come back.
//! - `resume`: uploads cut in the middle of a chunk.
//! - `eio`: syncs fail now and then, and the power is cut.
//! - `mutants` (by name only): power cuts of a server whose syncs are swallowed; they must find it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;

use self::campaign::{Expect, Plan};
use self::diskfull::Scarce;
use self::site::Site;
use self::target::{Kind, Target};
use crate::dockhand::Dockhand;
use crate::report::Report;

mod book;
mod campaign;
mod content;
mod diskfull;
mod eio;
mod model;
mod mutants;
mod oracle;
mod resume;
mod shim;
mod site;
mod target;
mod unfinished;
mod wire;
mod worker;
mod world;

/// What can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// SIGKILL at random moments under parallel pushes
    Kill,
    /// The file system below the data is shut down without flushing; needs root and loop devices
    Powercut,
    /// Bytes and inodes run out, and come back; needs root
    Diskfull,
    /// Uploads are cut in the middle of a chunk
    Resume,
    /// Syncs fail now and then, and the power is cut; needs root and cc
    Eio,
    /// Power cuts of a server whose syncs are swallowed must find that; needs root and cc
    Mutants,
}

/// What runs when nothing is named.
const USUAL: [Part; 5] = [
    Part::Kill,
    Part::Powercut,
    Part::Diskfull,
    Part::Resume,
    Part::Eio,
];

/// Crash campaigns
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these parts [default: all but mutants]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// How often the server is killed
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// How often the power is cut
    #[arg(long, default_value_t = 200)]
    cuts: usize,
    /// Repeats the random choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Which server
    #[arg(long, value_enum, default_value = "dockhand", hide = true)]
    target: Kind,
    /// Test this program instead of the one that cargo builds here
    #[arg(long, value_name = "FILE")]
    dockhand: Option<PathBuf>,
}

/// Runs the campaigns.
pub(crate) fn run(args: Args) -> Result<()> {
    let parts = if args.only.is_empty() {
        USUAL.to_vec()
    } else {
        args.only.clone()
    };
    enter_private_mounts(&parts)?;
    let target = find_target(args.target, args.dockhand.as_deref())?;
    let seed = args.seed.unwrap_or_else(|| Rng::new().u64(..));
    eprintln!("seed {seed} (repeat with --seed {seed})");
    let mut runner = Runner {
        report: Report::new(),
        target,
        seed,
    };
    parts
        .into_iter()
        .try_for_each(|part| runner.run(part, args.kills, args.cuts))?;
    runner.report.finish()
}

/// Set for a process that has its mounts to itself.
const PRIVATE: &str = "XTASK_FAULTS_PRIVATE_MOUNTS";

/// Starts this program again with mounts of its own: nobody else can keep a file system busy that is
/// to be unmounted, and whatever is still mounted when this program dies goes with it.
fn enter_private_mounts(parts: &[Part]) -> Result<()> {
    let mounts = parts
        .iter()
        .any(|part| !matches!(part, Part::Kill | Part::Resume));
    let may = rustix::process::geteuid().is_root() && site::is_installed("unshare");
    if !mounts || !may || std::env::var_os(PRIVATE).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe().context("where is this program?")?;
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(PRIVATE, "1")
        .exec();
    Err(error).context("`unshare --mount` cannot be run")
}

fn find_target(kind: Kind, dockhand: Option<&Path>) -> Result<Target> {
    let program = match kind {
        Kind::Dockhand => match dockhand {
            Some(program) => Dockhand::at(program)?.binary().to_owned(),
            None => Dockhand::build()?.binary().to_owned(),
        },
        Kind::Distribution if site::is_installed("registry") => "registry".into(),
        Kind::Distribution => bail!(
            "`registry` is not in the path; `go install \
             github.com/distribution/distribution/v3/cmd/registry@v3.1.2` makes it"
        ),
    };
    Ok(Target {
        kind,
        program,
        wrapper: Vec::new(),
    })
}

/// Runs parts and keeps their results.
struct Runner {
    report: Report,
    target: Target,
    seed: u64,
}

impl Runner {
    fn run(&mut self, part: Part, kills: usize, cuts: usize) -> Result<()> {
        match part {
            Part::Kill => self.check("kill", |target, work, rng| {
                let plan = Plan {
                    target,
                    rounds: kills,
                    expect: Expect::Clean,
                    work,
                    rng,
                };
                campaign::expect_clean(&campaign::run(plan, Site::folder(work)?)?)
            }),
            Part::Powercut => self.check("powercut", |target, work, mut rng| {
                site::check_can_mount(&["mkfs.ext4", "mount"])?;
                let site = Site::powered(work, &mut rng)?;
                let plan = Plan {
                    target,
                    rounds: cuts,
                    expect: Expect::Clean,
                    work,
                    rng,
                };
                campaign::expect_clean(&campaign::run(plan, site)?)
            }),
            Part::Diskfull => {
                self.check("diskfull: bytes", |target, work, rng| {
                    diskfull::run(Scarce::Space, target, work, rng)
                })?;
                self.check("diskfull: inodes", |target, work, rng| {
                    diskfull::run(Scarce::Inodes, target, work, rng)
                })
            }
            Part::Resume => self.check("resume", resume::run),
            Part::Eio => self.check("eio", eio::run),
            Part::Mutants => {
                self.check("mutant: none", mutants::control)?;
                mutants::MUTANTS.iter().try_for_each(|mutant| {
                    let name = format!("mutant: {}", mutant.name);
                    self.check(&name, |target, work, rng| {
                        mutants::run(mutant, target, work, rng)
                    })
                })
            }
        }
    }

    /// Runs a check in a folder of its own, which is kept when the check fails.
    fn check(
        &mut self,
        name: &str,
        check: impl FnOnce(&Target, &Path, Rng) -> Result<String>,
    ) -> Result<()> {
        eprintln!("{name}");
        let work = tempfile::Builder::new()
            .prefix("dockhand-faults-")
            .tempdir()?;
        let begun = Instant::now();
        let outcome = check(&self.target, work.path(), Rng::with_seed(self.seed));
        let outcome = outcome.map_err(|error| {
            let kept = work.keep();
            format!("{error:#}\nkept for a closer look: {}", kept.display())
        });
        self.report.record(name, outcome, begun.elapsed());
        Ok(())
    }
}
