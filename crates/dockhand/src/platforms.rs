//! Platforms on the command line: `linux/amd64,linux/arm64`, `local`, `all`.

use clap::Args;
use dockhand_oci::Platform;

use crate::image::local_platform;

// No doc comment: clap would take it for the help of the command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Platforms {
    /// Copy only these platforms, os/arch[/variant] or arch alone for Linux; `local` is the one of this
    /// machine, `all` is the default
    #[arg(long = "platform", value_name = "PLATFORM,…", value_delimiter = ',', value_parser = wanted)]
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    All,
    These(Platform),
}

impl Platforms {
    /// The platforms; none for all.
    pub(crate) fn list(&self) -> Vec<Platform> {
        let mut platforms = Vec::new();
        for wanted in &self.wanted {
            match wanted {
                Wanted::All => return Vec::new(),
                Wanted::These(platform) => platforms.push(platform.clone()),
            }
        }
        platforms
    }
}

fn wanted(text: &str) -> Result<Wanted, dockhand_oci::PlatformError> {
    Ok(match text {
        "all" => Wanted::All,
        text => Wanted::These(platform(text)?),
    })
}

/// A platform, or `local`.
pub(crate) fn platform(text: &str) -> Result<Platform, dockhand_oci::PlatformError> {
    match text {
        "local" => Ok(local_platform()),
        text => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_no_choice() {
        let list = |texts: &[&str]| {
            let wanted = texts.iter().map(|text| wanted(text).unwrap()).collect();
            Platforms { wanted }.list()
        };
        assert_eq!(list(&["linux/arm64", "local"]).len(), 2);
        assert!(list(&["linux/arm64", "all"]).is_empty());
        assert_eq!(list(&["local"])[0].os, "linux");
        assert!(wanted("").is_err());
    }
}
