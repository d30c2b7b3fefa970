//! Texts that would pass for images of Docker Hub, and are something else.

use std::path::Path;

use crate::report::Failure;

/// Places of skopeo that are not to be had here: what a daemon or a builder keeps for itself.
const FOREIGN: &[&str] = &[
    "containers-storage:",
    "docker-daemon:",
    "ostree:",
    "sif:",
    "tarball:",
];

/// Why a text that names no registry is hardly meant as an image of Docker Hub.
pub(super) fn misread(text: &str) -> Option<Failure> {
    if let Some(foreign) = FOREIGN.iter().find(|word| text.starts_with(*word)) {
        let message = format!("{text:?}: places of the kind {foreign} are not supported");
        return Some(Failure::usage(message).hint(
            "write the image to a file first (`podman save`, `docker save`) and name that: docker-archive:FILE",
        ));
    }
    if let Some(rest) = { ["https://", "http://"].iter() }.find_map(|word| text.strip_prefix(word))
    {
        let message = format!("{text:?} is a URL and no image reference");
        let hint = format!("write {rest}, with --plain-http where TLS is not spoken");
        return Some(Failure::usage(message).hint(hint));
    }
    if text.contains('/') {
        return None;
    }
    let is_file = Path::new(text).is_file()
        || ["oci-layout", "index.json", "manifest.json"]
            .iter()
            .any(|inside| Path::new(text).join(inside).is_file());
    if is_file {
        let message = format!("{text:?} is a file or folder here, and no image of a registry");
        let hint = format!("write ./{text} for what is here, docker://{text} for the image");
        return Some(Failure::usage(message).hint(hint));
    }
    if is_host(text) {
        let message = format!("{text:?} names a registry, and no repository in it");
        let hint = format!(
            "write {text}/REPOSITORY; `dockhand repos {text}` lists them; write ./{text} for a file"
        );
        return Some(Failure::usage(message).hint(hint));
    }
    None
}

/// Whether a text is the address of a registry, and names nothing in it.
pub(crate) fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let has_port = port.parse::<u16>().is_ok();
    !name.contains('/')
        && ((name.contains('.') && port.is_empty())
            || (has_port && (name.contains('.') || name == "localhost")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_of_docker_hub() {
        for text in [
            "127.0.0.1:7101",
            "localhost:5000",
            "registry.example",
            "registry.example:443",
            "image.tar",
            "docker-daemon:app:1",
            "https://registry.example/app",
            "containers-storage:localhost/app",
        ] {
            assert!(misread(text).is_some(), "{text}");
        }
        for text in [
            "debian",
            "debian:12",
            "debian:12.5",
            "localhost",
            "team/app:1.0",
            "127.0.0.1:7101/app",
            "registry.example/app",
        ] {
            assert!(misread(text).is_none(), "{text}");
        }
    }
}
