//! `dockhand signatures`: the signatures of an image.

use clap::Args;
use dockhand_client::artifact;
use dockhand_oci::Platform;

use crate::image;
use crate::output::table;
use crate::platforms::platform;
use crate::report::Failure;
use crate::session::{Session, Verb};

/// List the signatures of an image, of cosign, sigstore and notation; none is verified
///
/// Finds those that refer to the image and those under cosign's tags. `cosign verify` and `notation verify`
/// tell whether they are valid, and whose they are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Signatures {
    /// Image
    image: String,
    /// Of an index, the image for this platform: os/arch[/variant], or `local`
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
}

impl Verb for Signatures {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let subject = image::subject(&opened, self.platform.as_ref()).await?;
        let found = artifact::signatures(&opened.store, &subject.digest).await?;
        if found.is_empty() {
            session.note(&format!("{} has no signatures", opened.name()));
        }
        session.answer(&found, |out, found| {
            if found.is_empty() {
                return Ok(());
            }
            let rows = found.iter().map(|one| {
                let kept = { one.tag.as_ref() }.map_or("referrer", |tag| tag.as_str());
                let predicate = one.predicate.as_deref().unwrap_or("-");
                [
                    one.signer.name().to_owned(),
                    one.signatures.to_string(),
                    one.digest.to_string(),
                    kept.to_owned(),
                    predicate.to_owned(),
                ]
            });
            let head = ["BY", "SIGNATURES", "DIGEST", "KEPT AS", "STATES"];
            write!(out, "{}", table(&head, rows))
        })
    }
}
