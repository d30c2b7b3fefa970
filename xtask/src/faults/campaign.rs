//! A campaign: load, crash, restart, look; again and again on one store.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;

use super::eio::SWITCH;
use super::oracle::{self, Scope};
use super::site::Site;
use super::target::{READY, Server, Target};
use super::worker::Worker;
use super::world::{ENOUGH, World};

/// How many clients push at once.
const WORKERS: usize = 16;
/// The crash comes this long after the load began, at the latest.
const LATEST: f64 = 1.5;
/// One restart of so many is itself cut short by a kill, so that recovery is interrupted too.
const RECRASH_EVERY: u32 = 8;
/// That kill comes so many milliseconds after the start at the latest; an idle
/// machine is ready in half of that.
const RECOVERY: u64 = 80;
/// The store is looked at as a whole and wiped when so much was pushed to it.
const WIPE_AT: u64 = 600 << 20;
/// One line of progress for so many rounds.
const PROGRESS: usize = 10;

/// What is expected of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing is to be found, and before the crash everything succeeds.
    Clean,
    /// Something has to be found, and the first finding ends the campaign.
    Caught,
    /// Nothing is to be found; but syncs fail under load, so that requests may, or the server ends.
    FailingSyncs,
}

/// What a campaign is to do.
pub(crate) struct Plan<'a> {
    /// The server.
    pub(crate) target: &'a Target,
    /// How many crashes.
    pub(crate) rounds: usize,
    /// What is expected of the server.
    pub(crate) expect: Expect,
    /// Where files of the campaign lie.
    pub(crate) work: &'a Path,
    /// Where everything random comes from.
    pub(crate) rng: Rng,
}

/// How a campaign ended.
pub(crate) struct Outcome {
    /// Numbers for a person.
    pub(crate) summary: String,
    /// What was found wrong.
    pub(crate) found: Vec<String>,
}

/// Runs a campaign on a site.
///
/// # Errors
/// When the campaign itself cannot go on. Whatever the server does wrong is in the outcome.
pub(crate) fn run(mut plan: Plan<'_>, site: Site) -> Result<Outcome> {
    let world = World::new(plan.target.kind, plan.expect);
    let acks = plan.work.join("acks");
    fs::create_dir(&acks).with_context(|| acks.display().to_string())?;
    let workers: std::io::Result<Vec<_>> = (0..WORKERS)
        .map(|id| Worker::new(&world, id, plan.rng.u64(..), &acks))
        .collect();
    let workers = workers.context("the logs of acknowledgements cannot be opened")?;
    let slowest = Duration::ZERO;
    let mut run = Run {
        plan: &mut plan,
        site,
        world: &world,
        workers,
        slowest,
        explained: 0,
    };
    let rounds = run.all_rounds()?;
    let slowest = run.slowest;
    let count = |what| world.counted(what);
    let summary = format!(
        "{rounds} crashes, {} acknowledged, {} checked, {} uploads resumed, {} read under load, \
         slowest restart {:.2} s",
        count("acknowledged"),
        count("checked"),
        count("resumed"),
        count("read"),
        slowest.as_secs_f64()
    );
    Ok(Outcome {
        summary,
        found: world.take_faults(),
    })
}

struct Run<'a, 'w> {
    plan: &'a mut Plan<'w>,
    site: Site,
    world: &'a World,
    workers: Vec<Worker<'a>>,
    slowest: Duration,
    /// How many findings have been shown with the words of the server.
    explained: usize,
}

impl Run<'_, '_> {
    /// Crashes until all rounds are done or enough was found.
    fn all_rounds(&mut self) -> Result<usize> {
        let Some(mut server) = self.start()? else {
            return Ok(0);
        };
        self.furnish(&server);
        for round in 1..=self.plan.rounds {
            self.world.crash.store(round, Ordering::SeqCst);
            self.load_and_crash(&mut server)?;
            match self.start()? {
                Some(started) => server = started,
                None => return Ok(round),
            }
            oracle::finish_uploads(self.world, &server);
            oracle::check(self.world, &server, Scope::Round, &mut self.plan.rng);
            oracle::check_swept(self.world, &self.site.data());
            if let Some(panic) = server.panic() {
                self.world.fault(format!("the server panicked: {panic}"));
            }
            self.explain(&server);
            self.progress(round);
            let enough = if self.plan.expect == Expect::Caught {
                1
            } else {
                ENOUGH
            };
            if self.world.faults() >= enough {
                return Ok(round);
            }
            if self.world.pushed.load(Ordering::SeqCst) > WIPE_AT && round < self.plan.rounds {
                server = self.begin_again(server)?;
            }
        }
        self.end(server)?;
        Ok(self.plan.rounds)
    }

    /// Starts the server; `None` when it cannot be started any more, which is a finding.
    fn start(&mut self) -> Result<Option<Server>> {
        let data = self.site.data();
        if self.plan.rng.u32(0..RECRASH_EVERY) == 0 {
            self.crash_while_starting(&data)
                .context("a crash during the restart")?;
        }
        match self.plan.target.start(&data, self.plan.work) {
            Ok(server) => {
                self.slowest = self.slowest.max(server.ready_after);
                if server.ready_after > READY {
                    let took = server.ready_after;
                    self.world.fault(format!(
                        "the server took {took:?} to be ready; {READY:?} is the limit"
                    ));
                }
                Ok(Some(server))
            }
            Err(error) => {
                self.world.fault(format!(
                    "the server does not start on what the crash left: {error:#}"
                ));
                Ok(None)
            }
        }
    }

    /// Starts the server and crashes it while it recovers, or just after.
    fn crash_while_starting(&mut self, data: &Path) -> Result<()> {
        let server = self.plan.target.spawn(data, self.plan.work)?;
        let armed = self.site.arm()?;
        thread::sleep(Duration::from_millis(self.plan.rng.u64(0..RECOVERY)));
        armed.cut()?;
        server.kill()?;
        self.site.restore()
    }

    fn furnish(&mut self, server: &Server) {
        self.world.crashing.store(false, Ordering::SeqCst);
        self.world.cut.store(false, Ordering::SeqCst);
        if let Some((first, _)) = self.workers.split_first_mut() {
            let shared = first.furnish(&server.address);
            self.workers
                .iter_mut()
                .for_each(|worker| worker.share(&shared));
        }
    }

    /// Lets all workers loose and crashes at a random moment.
    fn load_and_crash(&mut self, server: &mut Server) -> Result<()> {
        let world = self.world;
        world.crashing.store(false, Ordering::SeqCst);
        world.cut.store(false, Ordering::SeqCst);
        let armed = self.site.arm()?;
        let moment = Duration::from_secs_f64(self.plan.rng.f64() * LATEST);
        let address = server.address.clone();
        self.let_syncs_fail(true)?;
        let crashed = thread::scope(|scope| {
            for worker in &mut self.workers {
                let address = &address;
                scope.spawn(move || worker.live(address));
            }
            thread::sleep(moment);
            if self.plan.expect != Expect::FailingSyncs && !server.is_running() {
                world.fault(format!(
                    "the server ended under load:\n{}",
                    server.log_tail()
                ));
            }
            world.crashing.store(true, Ordering::SeqCst);
            world.cut.store(armed.cuts_power(), Ordering::SeqCst);
            let cut = armed.cut();
            cut.and(server.kill())
        });
        if let Some(panic) = server.panic() {
            world.fault(format!("the server panicked: {panic}"));
        }
        crashed.context("the crash did not work")?;
        self.let_syncs_fail(false)?;
        self.site.restore()
    }

    fn let_syncs_fail(&self, fail: bool) -> Result<()> {
        let switch = self.plan.work.join(SWITCH);
        if self.plan.expect != Expect::FailingSyncs {
            return Ok(());
        }
        let done = if fail {
            fs::write(&switch, b"")
        } else {
            fs::remove_file(&switch)
        };
        done.with_context(|| switch.display().to_string())
    }

    /// Looks at everything, then wipes the store.
    fn begin_again(&mut self, mut server: Server) -> Result<Server> {
        oracle::check(self.world, &server, Scope::All, &mut self.plan.rng);
        server.kill()?;
        self.site.wipe(&mut self.plan.rng)?;
        self.world.forget();
        self.workers.iter_mut().for_each(Worker::forget);
        let Some(server) = self.start()? else {
            bail!("the server does not start on an empty store")
        };
        self.furnish(&server);
        Ok(server)
    }

    /// Looks at everything, stops the server in order, and looks again.
    fn end(&mut self, mut server: Server) -> Result<()> {
        oracle::check(self.world, &server, Scope::All, &mut self.plan.rng);
        match server.stop() {
            Ok(status) if status.success() => {}
            Ok(status) => self
                .world
                .fault(format!("after SIGTERM the server ended with {status}")),
            Err(error) => self.world.fault(format!("{error:#}")),
        }
        let Some(mut server) = self.start()? else {
            return Ok(());
        };
        oracle::check(self.world, &server, Scope::All, &mut self.plan.rng);
        server.kill()
    }

    /// Shows what the server has to say of new findings.
    fn explain(&mut self, server: &Server) {
        let found = self.world.faults();
        if found > self.explained && self.plan.expect != Expect::Caught {
            eprintln!("  the last words of the server:\n{}", server.log_tail());
        }
        self.explained = found;
    }

    fn progress(&self, round: usize) {
        if round.is_multiple_of(PROGRESS) {
            let (of, place) = (self.plan.rounds, self.site.describe());
            let (acked, found) = (self.world.counted("acknowledged"), self.world.faults());
            eprintln!("  {round}/{of} crashes on {place}: {acked} acknowledged, {found} findings");
        }
    }
}

/// The result of a campaign that must find nothing.
///
/// # Errors
/// With everything that was found.
pub(crate) fn expect_clean(outcome: &Outcome) -> Result<String> {
    let Outcome { summary, found, .. } = outcome;
    ensure!(
        found.is_empty(),
        "{} findings in {summary}:\n{}",
        found.len(),
        found.join("\n")
    );
    Ok(summary.clone())
}
