//! `cargo xtask interop`: conformance programs and real clients against a running registry.
//!
//! Each part has registries of its own, started on empty folders. A client that is missing is
//! installed or is a failure; nothing is skipped.

mod client;
mod conformance;
mod crane;
mod cutter;
mod debootstrap;
mod image;
mod oras;
mod peer;
mod podman;
mod raw;
mod regctl;
mod resume;
mod skopeo;

use anyhow::{Result, bail};
use tempfile::TempDir;

use self::client::Session;
use self::conformance::Level;
use self::image::Image;
use self::peer::{Peer, Scheme};
use crate::dockhand::Dockhand;
use crate::report::Report;

/// Conformance programs and real clients
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run these parts only; `conformance` stands for both levels of the current program
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Name the parts and run nothing
    #[arg(long)]
    list: bool,
    /// Test a registry that runs already, over plain HTTP, in place of dockhand
    #[arg(long, value_name = "URL", hide = true)]
    target: Option<String>,
}

/// What a part does.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The current conformance program.
    Current(Level),
    /// The older conformance suite.
    Older,
    /// A client: the checks of it, over plain HTTP and over TLS.
    Client(fn(&mut Session<'_>) -> Result<()>),
    /// Transfers that are cut.
    Resume,
    /// A real image.
    Debootstrap,
}

/// Every part: its name, whether it runs unless others are named, and what it does.
const PARTS: &[(&str, bool, Part)] = &[
    ("conformance-1.1", true, Part::Current(Level::Stable)),
    ("conformance-dev", true, Part::Current(Level::Dev)),
    ("conformance-v1.1-suite", true, Part::Older),
    ("skopeo", true, Part::Client(skopeo::checks)),
    ("podman", true, Part::Client(podman::checks)),
    ("crane", true, Part::Client(crane::checks)),
    ("regctl", true, Part::Client(regctl::checks)),
    ("oras", true, Part::Client(oras::checks)),
    ("resume", true, Part::Resume),
    // Minutes long, downloads some hundred packages, and needs root.
    ("debootstrap", false, Part::Debootstrap),
];
/// What `--only conformance` stands for: both levels of the current program.
const CURRENT: (&str, &[&str]) = ("conformance", &["conformance-1.1", "conformance-dev"]);

/// Runs the suite.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.list {
        for (name, by_default, _) in PARTS {
            println!(
                "{name}{}",
                if *by_default {
                    ""
                } else {
                    " (only when named)"
                }
            );
        }
        return Ok(());
    }
    let parts = chosen(&args.only)?;
    let stage = Stage::new(args.target)?;
    let mut report = Report::new();
    for (name, part) in parts {
        if let Err(error) = stage.run(name, part, &mut report) {
            // What kept a part from running is a failure of the part.
            report.check(name, || Err(error));
        }
    }
    report.finish()
}

/// The parts that were named, in the order of the list.
fn chosen(only: &[String]) -> Result<Vec<(&'static str, Part)>> {
    let stands_for = |word: &String, name: &str| {
        word == name || (word == CURRENT.0 && CURRENT.1.contains(&name))
    };
    for word in only {
        if !PARTS.iter().any(|(name, ..)| stands_for(word, name)) {
            let names: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
            bail!(
                "there is no part {word}; the parts are {}",
                names.join(", ")
            );
        }
    }
    let wanted = |name: &str, by_default: bool| {
        if only.is_empty() {
            by_default
        } else {
            only.iter().any(|word| stands_for(word, name))
        }
    };
    let parts = PARTS
        .iter()
        .filter(|(name, by_default, _)| wanted(name, *by_default));
    Ok(parts.map(|(name, _, part)| (*name, *part)).collect())
}

/// What all parts share.
struct Stage {
    target: Option<String>,
    dockhand: Option<Dockhand>,
    image: Image,
    _folder: TempDir,
}

impl Stage {
    fn new(target: Option<String>) -> Result<Self> {
        let dockhand = if target.is_none() {
            Some(Dockhand::build()?)
        } else {
            None
        };
        // In small letters: podman takes the path of a layout for the name of an image.
        let unique = format!("{}-{}", std::process::id(), fastrand::u32(..));
        let folder = tempfile::Builder::new()
            .prefix(&format!("dockhand-interop-image-{unique}"))
            .rand_bytes(0)
            .tempdir()?;
        let image = Image::write(&folder.path().join("layout"))?;
        Ok(Self {
            target,
            dockhand,
            image,
            _folder: folder,
        })
    }

    /// How registries are reached: one that runs already is reached in one way.
    fn schemes(&self) -> &'static [Scheme] {
        if self.dockhand.is_some() {
            &Scheme::ALL
        } else {
            &[Scheme::Http]
        }
    }

    /// A registry on an empty folder, unless one runs already.
    fn peer(&self, scheme: Scheme, environment: &[(&str, &str)]) -> Result<Peer> {
        match (&self.dockhand, &self.target) {
            (Some(dockhand), _) => Peer::start(dockhand, scheme, environment),
            (None, Some(url)) => Peer::existing(url),
            (None, None) => bail!("no registry to test"),
        }
    }

    fn run(&self, name: &'static str, part: Part, report: &mut Report) -> Result<()> {
        match part {
            Part::Current(level) => {
                // At this level manifests come before their content.
                let sparse = (level == Level::Dev).to_string();
                let peer = self.peer(Scheme::Http, &[("DOCKHAND_STORAGE_SPARSE", &sparse)])?;
                report.check(name, || conformance::current(&peer, level));
            }
            Part::Older => {
                let peer = self.peer(Scheme::Http, &[])?;
                report.check(name, || conformance::older(&peer));
            }
            Part::Client(checks) => {
                for scheme in self.schemes() {
                    let peer = self.peer(*scheme, &[])?;
                    checks(&mut Session::new(name, &peer, &self.image, report)?)?;
                }
            }
            Part::Resume => {
                for scheme in self.schemes() {
                    resume::checks(&mut self.peer(*scheme, &[])?, &self.image, report)?;
                }
            }
            Part::Debootstrap => debootstrap::checks(&self.peer(Scheme::Http, &[])?, report)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|word| (*word).to_owned()).collect();
        chosen(&only)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn parts_are_chosen_by_name() {
        assert_eq!(names(&["conformance"]), CURRENT.1);
        assert_eq!(
            names(&["skopeo", "conformance-v1.1-suite"]),
            ["conformance-v1.1-suite", "skopeo"]
        );
        assert_eq!(names(&["debootstrap"]), ["debootstrap"]);
        assert!(!names(&[]).contains(&"debootstrap") && names(&[]).len() == PARTS.len() - 1);
        assert!(
            chosen(&["docker".to_owned()])
                .unwrap_err()
                .to_string()
                .contains("skopeo")
        );
    }
}
