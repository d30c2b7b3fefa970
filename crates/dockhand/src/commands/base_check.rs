//! `dockhand base-check`: whether the base of an image has moved.

use clap::Args;
use dockhand_client::image::images;
use dockhand_client::rewrite::{Base, BaseCheck as Check, BaseState, base_check, bases};
use dockhand_oci::Digest;
use serde::Serialize;

use crate::output::table;
use crate::platforms::Platforms;
use crate::report::{Failure, Kind};
use crate::session::{Session, Verb};

/// Check whether the base of an image has moved since it was built
///
/// Exits with 8 when it has for some platform.
#[derive(Args, Clone, Debug)]
pub(crate) struct BaseCheck {
    /// Image
    image: String,
    /// The base [default: what the image's annotations say]
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    #[command(flatten)]
    platforms: Platforms,
}

#[derive(Serialize)]
struct Answer {
    platform: String,
    image: Digest,
    base: String,
    /// The digest that the image says its base had.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Digest>,
    now: Digest,
    state: &'static str,
}

impl Verb for BaseCheck {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let opened = session.open(&self.image).await?;
        let wanted = self.platforms.list();
        let mut answers = Vec::new();
        let built = match &self.base {
            Some(name) => {
                let all = images(&*opened.store, &opened.reference).await?;
                let base = Base {
                    name: name.clone(),
                    digest: None,
                };
                all.into_iter()
                    .map(|image| (image, Some(base.clone())))
                    .collect()
            }
            None => bases(&*opened.store, &opened.reference).await?,
        };
        for (image, base) in built {
            if !wanted.is_empty() && !wanted.iter().any(|one| image.platform.matches(one)) {
                continue;
            }
            let Some(base) = base else {
                let message = format!("{} does not say what it was built on", self.image);
                return Err(Failure::usage(message).hint("name the base with --base"));
            };
            let place = session.open(&base.name).await?;
            let check = base_check(&image, &base, &*place.store, &place.reference).await?;
            answers.push(answer(check));
        }
        if answers.is_empty() {
            let message = format!("{} has no image for these platforms", self.image);
            return Err(Failure::plain(Kind::NotFound, message));
        }
        session.answer(&answers, |out, answers| {
            let rows = answers.iter().map(|one| {
                let now = one.now.to_string();
                [
                    one.platform.clone(),
                    one.state.to_owned(),
                    one.base.clone(),
                    now,
                ]
            });
            write!(
                out,
                "{}",
                table(&["PLATFORM", "STATE", "BASE", "NOW"], rows)
            )
        })?;
        match answers.iter().any(|one| one.state == "moved") {
            true => Err(Failure::answer(Kind::Differs)),
            false => Ok(()),
        }
    }
}

fn answer(check: Check) -> Answer {
    Answer {
        platform: check.platform.to_string(),
        image: check.image,
        base: check.base.name,
        recorded: check.base.digest,
        now: check.now,
        state: match check.state {
            BaseState::Current => "current",
            BaseState::SameLayers => "same-layers",
            BaseState::Moved => "moved",
        },
    }
}
