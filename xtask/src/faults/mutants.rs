//! Shows that the power cuts find what they are for: the same server, with a part of its syncs
//! swallowed, has to be caught; and as it is, run in the same way, not.

use std::path::Path;

use anyhow::{Context as _, Result};
use fastrand::Rng;

use super::campaign::{self, Expect, Plan};
use super::shim;
use super::site::Site;
use super::target::Target;

/// A server that only pretends to sync.
pub(crate) struct Mutant {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What [`shim`] swallows.
    swallowed: &'static str,
}

/// Each of them loses something else. That the syncs of folders are needed cannot be shown on ext4:
/// the sync of the metadata that follows commits its one journal, and the names with it.
pub(crate) const MUTANTS: [Mutant; 3] = [
    Mutant {
        name: "no sync at all",
        swallowed: "everything",
    },
    Mutant {
        name: "no sync of bytes",
        swallowed: "bytes",
    },
    Mutant {
        name: "no sync of metadata",
        swallowed: "metadata",
    },
];

/// A server that loses what it acknowledged is caught in so many cuts.
const CUTS: usize = 20;

/// Cuts the power of a mutant until something is found.
///
/// # Errors
/// When nothing is found: then the campaign proves nothing.
pub(crate) fn run(mutant: &Mutant, target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let target = shim::put_before(target, ("FAULTS_SWALLOW", mutant.swallowed.as_ref()), work)?;
    let site = Site::powered(work, &mut rng)?;
    let plan = Plan {
        target: &target,
        rounds: CUTS,
        expect: Expect::Caught,
        work,
        rng,
    };
    let outcome = campaign::run(plan, site)?;
    let missed = || format!("it was not caught in {CUTS} cuts: {}", outcome.summary);
    let first = outcome.found.first().with_context(missed)?;
    let first = first.lines().next().unwrap_or_default();
    Ok(format!("caught by {first}"))
}

/// Cuts the power of the server as it is.
///
/// # Errors
/// With whatever is found: then a mutant may have been caught for another reason.
pub(crate) fn control(target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let target = shim::put_before(target, ("FAULTS_SWALLOW", "nothing".as_ref()), work)?;
    let site = Site::powered(work, &mut rng)?;
    let plan = Plan {
        target: &target,
        rounds: CUTS,
        expect: Expect::Clean,
        work,
        rng,
    };
    campaign::expect_clean(&campaign::run(plan, site)?)
}
