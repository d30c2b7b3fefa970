//! Flags and words of crane, skopeo, oras, regctl and docker that have no equal here, and what to write
//! instead. Those that have one are aliases where the command is.

/// A flag, or a word where a command is expected; the commands it is for, none for all; and the hint.
const FOREIGN: &[(&[&str], &[&str], &str)] = &[
    (
        &["--insecure-policy", "--policy"],
        &[],
        "leave it away: signature policies of containers/image are not asked",
    ),
    (
        &["--command-timeout"],
        &[],
        "--timeout is how long to wait for a connection, an answer, or the next byte",
    ),
    (
        &["--override-os", "--override-arch", "--override-variant"],
        &[],
        "write --platform OS/ARCH[/VARIANT]",
    ),
    (
        &["--os", "--arch", "--variant"],
        &[],
        "write --platform OS/ARCH[/VARIANT]",
    ),
    (
        &["--registries.d", "--registries-conf", "--tmpdir"],
        &[],
        "leave it away; registries are set up in dockhand.toml (docs/connections.md)",
    ),
    (
        &["--cert-dir", "--src-cert-dir", "--dest-cert-dir"],
        &[],
        "write --ca-file FILE, and --cert-file and --key-file for a client certificate",
    ),
    (
        &[
            "--registry-token",
            "--src-registry-token",
            "--dest-registry-token",
            "--access-token",
        ],
        &[],
        "set DOCKHAND_TOKEN, or write -H 'Authorization: Bearer TOKEN'",
    ),
    (
        &["--no-creds", "--src-no-creds", "--dest-no-creds"],
        &[],
        "write --authfile with a file that has {\"auths\": {}}",
    ),
    (
        &[
            "--registry-config",
            "--from-registry-config",
            "--to-registry-config",
            "--config",
        ],
        &[],
        "write --authfile FILE",
    ),
    (
        &[
            "--oci-layout",
            "--from-oci-layout",
            "--to-oci-layout",
            "--oci-layout-path",
        ],
        &[],
        "write the place itself: oci:DIR[:TAG]",
    ),
    (
        &[
            "--distribution-spec",
            "--from-distribution-spec",
            "--to-distribution-spec",
            "--image-spec",
        ],
        &[],
        "leave it away: referrers are found by both ways, and manifests are OCI 1.1",
    ),
    (&["--no-tty"], &[], "write --progress plain"),
    (
        &[
            "--remove-signatures",
            "--sign-by",
            "--sign-by-sigstore",
            "--sign-by-sigstore-private-key",
            "--sign-identity",
        ],
        &[],
        "leave it away: signatures come only with --referrers or --digest-tags; nothing is signed",
    ),
    (
        &["--format", "-f"],
        &["cp", "copy", "push"],
        "leave it away: images stay byte for byte; `dockhand pull --format` chooses a form of files",
    ),
    (
        &["--format", "-f"],
        &["inspect", "ls", "digest", "manifest", "config", "repos"],
        "write --json and pick with jq",
    ),
    (
        &[
            "--dest-compress",
            "--dest-compress-format",
            "--dest-compress-level",
            "--dest-decompress",
            "--dest-force-compress-format",
        ],
        &[],
        "leave it away: layers stay byte for byte",
    ),
    (
        &["--encryption-key", "--decryption-key", "--encrypt-layer"],
        &[],
        "layers are neither encrypted nor decrypted; copy them as they are",
    ),
    (
        &[
            "--allow-nondistributable-artifacts",
            "--include-external",
            "--fast",
        ],
        &["cp", "copy", "push", "pull"],
        "leave it away: layers that are to be had only elsewhere stay there, the rest is copied",
    ),
    (
        &["--no-tags", "-n"],
        &["inspect"],
        "leave it away: tags are listed only with --tags",
    ),
    (&["--force-recursive"], &[], "write --force"),
    (
        &["--all-platforms"],
        &[],
        "leave it away: all platforms are copied",
    ),
    (
        &["--from"],
        &["cp", "copy"],
        "name the source first and the destinations after it",
    ),
    (
        &["--disable-path-validation"],
        &[],
        "leave it away: paths out of the folder are never written",
    ),
    (
        &["--host"],
        &[],
        "write --plain-http or --ca-file, or set the registry up in dockhand.toml",
    ),
    (
        &["registry"],
        &[],
        "write dockhand login, dockhand logout, or dockhand serve for a registry",
    ),
    (&["import"], &["image"], "write dockhand push FILE REF"),
    (
        &["export"],
        &["image"],
        "write dockhand pull REF -o FILE.tar",
    ),
    (
        &["save"],
        &[],
        "write dockhand pull REF --format docker -o FILE.tar",
    ),
    (&["load"], &[], "write dockhand push FILE REF"),
    (
        &["copy", "cp"],
        &["repo"],
        "write dockhand cp --all-tags SOURCE DESTINATION",
    ),
    (&["list-repos"], &[], "write dockhand repos REGISTRY"),
    (
        &["gc"],
        &[],
        "write dockhand rm --prune oci:DIR for a layout",
    ),
    (
        &["optimize", "layout"],
        &[],
        "dockhand has no such command; `dockhand flatten` makes one layer of all",
    ),
    (
        &["standalone-sign", "standalone-verify", "sign", "verify"],
        &[],
        "use cosign or notation; `dockhand discover` shows signatures",
    ),
    (
        &["build"],
        &[],
        "dockhand builds nothing; `dockhand append` puts tar files onto an image",
    ),
    (
        &["run", "exec", "ps", "images"],
        &[],
        "dockhand has no images of its own; `dockhand ls REPOSITORY` lists tags",
    ),
    (
        &["backup"],
        &[],
        "write dockhand cp --all-tags REPOSITORY oci-archive:FILE",
    ),
    (
        &["restore"],
        &[],
        "write dockhand cp --all-tags oci-archive:FILE REPOSITORY",
    ),
];

/// What to write instead of a word that comes after those that were `spoken`.
pub(super) fn hint(spoken: &[&str], word: &str) -> Option<String> {
    if spoken.last() == Some(&"--semver") {
        return Some(format!(
            "the requirement is joined with =: --semver='{word}'"
        ));
    }
    let bare = word.split('=').next().unwrap_or(word);
    let fits = |commands: &[&str]| {
        commands.is_empty() || spoken.iter().any(|said| commands.contains(said))
    };
    let mut known = FOREIGN.iter();
    let found = known.find(|(words, commands, _)| words.contains(&bare) && fits(commands));
    found.map(|(.., hint)| (*hint).to_owned())
}
