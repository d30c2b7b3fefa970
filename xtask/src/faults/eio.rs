//! Syncs that fail: what was not synced is not acknowledged. Each round ends in a power cut, so that
//! an acknowledgement in spite of a failure shows as a loss.

use std::path::Path;

use anyhow::Result;
use fastrand::Rng;

use super::campaign::{self, Expect, Plan};
use super::shim;
use super::site::Site;
use super::target::Target;

/// How many rounds; in each some dozens of syncs fail.
const ROUNDS: usize = 20;
/// While this file of the campaign is there, syncs fail. Not so while the answers are checked.
pub(crate) const SWITCH: &str = "syncs-fail";

/// Cuts the power of a server whose syncs fail now and then.
///
/// # Errors
/// With what was found.
pub(crate) fn run(target: &Target, work: &Path, mut rng: Rng) -> Result<String> {
    let switch = work.join(SWITCH);
    let target = shim::put_before(target, ("FAULTS_FAIL", switch.as_ref()), work)?;
    let site = Site::powered(work, &mut rng)?;
    let plan = Plan {
        target: &target,
        rounds: ROUNDS,
        expect: Expect::FailingSyncs,
        work,
        rng,
    };
    campaign::expect_clean(&campaign::run(plan, site)?)
}
