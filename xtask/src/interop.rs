//! `cargo xtask interop`: conformance programs and real clients against a running registry.
//!
//! Each part has registries of its own, started on empty folders. A client that is missing is
//! installed or is a failure; nothing is skipped.

mod archives;
mod client;
mod conformance;
mod connections;
mod crane;
mod cutter;
mod debootstrap;
mod front;
mod image;
mod oras;
mod others;
mod ours;
mod peer;
mod podman;
mod proxy;
mod raw;
mod readonly;
mod regctl;
mod resume;
mod skopeo;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use self::client::Session;
use self::conformance::Level;
use self::image::Image;
use self::others::Other;
use self::ours::Judges;
use self::peer::{Peer, Scheme};
use crate::dockhand::Dockhand;
use crate::report::Report;

/// Conformance programs and real clients
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run these parts only; `conformance` stands for both levels of the current program, `client` for
    /// all parts of our own client
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Name the parts and run nothing
    #[arg(long)]
    list: bool,
    /// Test this program instead of the one that cargo builds here
    #[arg(long, value_name = "FILE")]
    dockhand: Option<PathBuf>,
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
    /// Our own client, against our registry or that of others.
    Ours(Option<Other>),
    /// Our own client, with files that others read and write.
    Archives,
    /// Clients through a proxy in front of our registry.
    Proxy,
    /// Connections that a proxy keeps, and answers that come early.
    Connections,
    /// A data folder on a read-only mount.
    ReadOnly,
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
    ("client-dockhand", true, Part::Ours(None)),
    (
        "client-distribution-2",
        true,
        Part::Ours(Some(Other::Distribution2)),
    ),
    (
        "client-distribution-3",
        true,
        Part::Ours(Some(Other::Distribution3)),
    ),
    ("client-zot", true, Part::Ours(Some(Other::Zot))),
    (
        "client-go-containerregistry",
        true,
        Part::Ours(Some(Other::GoContainerregistry)),
    ),
    ("client-archives", true, Part::Archives),
    ("proxy", true, Part::Proxy),
    ("connections", true, Part::Connections),
    // Needs root, or user namespaces.
    ("readonly", true, Part::ReadOnly),
    // Minutes long, downloads some hundred packages, and needs root.
    ("debootstrap", false, Part::Debootstrap),
];
/// Words that stand for several parts.
const GROUPS: &[(&str, &[&str])] = &[
    ("conformance", &["conformance-1.1", "conformance-dev"]),
    (
        "client",
        &[
            "client-dockhand",
            "client-distribution-2",
            "client-distribution-3",
            "client-zot",
            "client-go-containerregistry",
            "client-archives",
        ],
    ),
];

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
    let stage = Stage::new(args.target, args.dockhand)?;
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
        let group = GROUPS.iter().find(|(group, _)| word == group);
        word == name || group.is_some_and(|(_, names)| names.contains(&name))
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
    fn new(target: Option<String>, program: Option<PathBuf>) -> Result<Self> {
        let dockhand = match (&target, program) {
            (Some(_), _) => None,
            (None, Some(program)) => Some(Dockhand::at(&program)?),
            (None, None) => Some(Dockhand::build()?),
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

    /// A session of our own client.
    fn ours<'a>(
        &'a self,
        name: &'static str,
        peer: &'a Peer,
        report: &'a mut Report,
    ) -> Result<Session<'a>> {
        let dockhand = self.dockhand.as_ref();
        let dockhand = dockhand.context("our client is tried with registries started here")?;
        ours::session(name, dockhand, peer, &self.image, report)
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
            Part::Ours(other) => {
                let peer = match other {
                    Some(other) => other.start()?,
                    None => self.peer(Scheme::Http, &[])?,
                };
                let judges = Judges::new(&peer)?;
                ours::checks(&mut self.ours(name, &peer, report)?, &judges);
            }
            Part::Archives => {
                let peer = self.peer(Scheme::Http, &[])?;
                let judges = Judges::new(&peer)?;
                archives::checks(&mut self.ours(name, &peer, report)?, &judges)?;
            }
            Part::Proxy => {
                let dockhand = self.dockhand.as_ref();
                let dockhand =
                    dockhand.context("proxies are put before registries started here")?;
                proxy::checks(dockhand, &self.image, report)?;
            }
            Part::Connections => {
                let dockhand = self.dockhand.as_ref();
                let dockhand =
                    dockhand.context("connections are tried with registries started here")?;
                connections::checks(dockhand, &self.image, report)?;
            }
            Part::ReadOnly => {
                let dockhand = self.dockhand.as_ref();
                let dockhand = dockhand.context("the folder is that of a registry started here")?;
                readonly::checks(dockhand, report)?;
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
        for (group, parts) in GROUPS {
            assert_eq!(names(&[group]), *parts);
        }
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
