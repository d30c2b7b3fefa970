//! `dockhand cat`: one file out of an image.

use std::error::Error as _;
use std::io;

use clap::Args;
use dockhand_client::filesystem::{ImagePath, Limits, cat};
use dockhand_client::image::select;
use dockhand_oci::Platform;

use crate::platforms::platform;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Print a file of an image
///
/// Links are followed as a program in the image would. Only the layers that are needed are read.
#[derive(Args, Clone, Debug)]
pub(crate) struct Cat {
    /// Image, or image and file: debian:12:/etc/os-release
    image: String,
    /// File in it
    path: Option<ImagePath>,
    /// Of an index, the image for this platform: os/arch[/variant] [default: the only one, or that for
    /// Linux on this machine]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
}

impl Verb for Cat {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (image, path) = match self.path {
            Some(path) => (self.image.as_str(), path),
            None => {
                let (image, path) = split(&self.image).ok_or_else(|| {
                    Failure::usage("no file is named").hint("write IMAGE PATH, or IMAGE:/PATH")
                })?;
                (image, path.parse()?)
            }
        };
        let opened = session.open(image).await?;
        let image = select(&*opened.store, &opened.reference, self.platform.as_ref()).await?;
        session.progress().clear();
        let mut out = tokio::io::stdout();
        let limits = Limits::default();
        let found = cat(&*opened.store, &image, &path, &mut out, limits).await;
        found.map(|_| ()).map_err(written)
    }
}

/// The image and the path of `debian:12:/etc/os-release`.
fn split(text: &str) -> Option<(&str, &str)> {
    let scheme = text.find("://").map_or(0, |place| place + 3);
    let place = scheme + text[scheme..].find(":/")?;
    Some((&text[..place], &text[place + 1..]))
}

/// A failure while standard output was written: that nobody reads on is none.
pub(super) fn written(error: dockhand_client::Error) -> Failure {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::BrokenPipe) => Failure::answer(Kind::Unread),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_and_a_file_in_one_word() {
        for (text, expected) in [
            ("debian:12:/etc/x", Some(("debian:12", "/etc/x"))),
            (
                "docker://h:5000/a:/x:/y",
                Some(("docker://h:5000/a", "/x:/y")),
            ),
            ("h:5000/a@sha256:00:/x", Some(("h:5000/a@sha256:00", "/x"))),
            ("docker://debian", None),
            ("debian:12", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
