//! One or two examples for each command, with which its long help ends.

use std::fmt::Write;

/// Commands by their words, and what they may look like.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "ls",
        &[
            "ls debian --match '^12' --sort semver",
            "ls ghcr.io/team/app --semver='^2' --newest 3 --digests",
        ],
    ),
    (
        "repos",
        &[
            "repos registry.example",
            "repos registry.example --json | jq -r '.[].name'",
        ],
    ),
    (
        "search",
        &[
            "search app registry.example",
            "search 'team/**' registry.example --glob",
        ],
    ),
    (
        "inspect",
        &[
            "inspect debian:12",
            "inspect oci:folder:1 --platform linux/arm64 --json",
        ],
    ),
    (
        "digest",
        &[
            "digest debian:12",
            "digest debian:12 --platform linux/arm64",
        ],
    ),
    (
        "manifest",
        &[
            "manifest debian:12 --pretty",
            "manifest get debian:12 --platform local -o manifest.json",
        ],
    ),
    (
        "manifest get",
        &["manifest get debian:12 --platform local -o manifest.json"],
    ),
    (
        "manifest put",
        &["manifest put registry.example/app:1 manifest.json"],
    ),
    ("manifest head", &["manifest head debian:12"]),
    (
        "manifest rm",
        &["manifest rm registry.example/app@sha256:… --yes"],
    ),
    (
        "config",
        &[
            "config debian:12 --pretty",
            "config debian:12 | jq .config.Env",
        ],
    ),
    (
        "exists",
        &[
            "exists registry.example/app:1 || make push",
            "exists registry.example/cache:deps --newer-than 7d",
        ],
    ),
    (
        "cp",
        &[
            "cp debian:12 mirror.example/debian:12,stable",
            "cp registry.example/app:1 oci:folder:1 --platform linux/amd64,linux/arm64 --referrers",
        ],
    ),
    (
        "pull",
        &[
            "pull debian:12 -o debian.tar",
            "pull debian:12 --format docker -o - | docker load",
        ],
    ),
    (
        "push",
        &[
            "push debian.tar registry.example/debian:12",
            "docker save app | dockhand push - registry.example/app:1,latest",
        ],
    ),
    (
        "sync",
        &[
            "sync sync.yaml --dry-run",
            "sync ghcr.io/team/app mirror.example/app --semver='>=2' --newest 5",
        ],
    ),
    (
        "mirror",
        &[
            "mirror ghcr.io/team/app mirror.example/app --prune",
            "mirror registry.example backup.example --repos --watch 10m",
        ],
    ),
    ("tag", &["tag registry.example/app:1.2.3 1.2 1 latest"]),
    (
        "rm",
        &[
            "rm registry.example/app:old",
            "rm registry.example/app@sha256:… --yes",
        ],
    ),
    (
        "validate",
        &[
            "validate registry.example/app:1",
            "validate image.tar --fast",
        ],
    ),
    (
        "diff",
        &[
            "diff debian:12.1 debian:12.2",
            "diff app:1 oci:folder:1 --no-files",
        ],
    ),
    ("du", &["du debian:12", "du registry.example/team/app"]),
    (
        "base-check",
        &[
            "base-check registry.example/app:1",
            "base-check registry.example/app:1 --base debian:12",
        ],
    ),
    (
        "cat",
        &[
            "cat debian:12 /etc/os-release",
            "cat app:1:/etc/passwd --platform linux/arm64",
        ],
    ),
    (
        "export",
        &[
            "export debian:12 | tar -t",
            "export debian:12 --unpack folder",
        ],
    ),
    (
        "edit",
        &[
            "edit registry.example/app:1 --label team=blue --replace",
            "edit registry.example/app:1 --env MODE=test --to :test",
        ],
    ),
    (
        "append",
        &["append -f layer.tar -b debian:12 --to registry.example/app:1"],
    ),
    (
        "rebase",
        &["rebase registry.example/app:1 --old-base debian:12.1 --new-base debian:12.2 --replace"],
    ),
    ("flatten", &["flatten registry.example/app:1 --to :flat"]),
    (
        "index",
        &[
            "index create registry.example/app:1 registry.example/app:1-amd64 registry.example/app:1-arm64",
        ],
    ),
    (
        "index create",
        &[
            "index create registry.example/app:1 registry.example/app:1-amd64 registry.example/app:1-arm64",
        ],
    ),
    (
        "index add",
        &["index add registry.example/app:1 registry.example/app:1-riscv64"],
    ),
    (
        "index rm",
        &["index rm registry.example/app:1 --platform linux/386"],
    ),
    ("index ls", &["index ls debian:12"]),
    (
        "artifact",
        &[
            "artifact push registry.example/app:sbom sbom.json:application/spdx+json",
            "artifact pull registry.example/app:sbom -o folder",
        ],
    ),
    (
        "artifact push",
        &[
            "artifact push registry.example/docs:1 manual.pdf:application/pdf --artifact-type application/vnd.example.docs",
        ],
    ),
    (
        "artifact pull",
        &["artifact pull registry.example/docs:1 -o folder"],
    ),
    (
        "attach",
        &["attach registry.example/app:1 sbom.json --artifact-type application/spdx+json"],
    ),
    (
        "discover",
        &[
            "discover registry.example/app:1 --tree",
            "discover registry.example/app:1 --artifact-type application/spdx+json --json",
        ],
    ),
    (
        "blob",
        &[
            "blob get debian@sha256:… -o layer.tar.gz",
            "blob mount registry.example/app@sha256:… --from base",
        ],
    ),
    ("blob get", &["blob get debian@sha256:… -o layer.tar.gz"]),
    ("blob put", &["blob put registry.example/app layer.tar.gz"]),
    ("blob head", &["blob head registry.example/app@sha256:…"]),
    (
        "blob rm",
        &["blob rm registry.example/app@sha256:… --dry-run"],
    ),
    (
        "blob mount",
        &["blob mount registry.example/app@sha256:… --from base"],
    ),
    (
        "upload",
        &[
            "upload start registry.example/app",
            "upload cancel registry.example/app URL",
            "upload rm --data /srv/registry --older-than 7d --yes",
        ],
    ),
    ("upload start", &["upload start registry.example/app"]),
    ("upload status", &["upload status registry.example/app URL"]),
    ("upload cancel", &["upload cancel registry.example/app URL"]),
    (
        "upload ls",
        &[
            "upload ls --data /srv/registry",
            "upload ls --data /srv/registry --older-than 1d --json",
        ],
    ),
    (
        "upload rm",
        &[
            "upload rm --data /srv/registry --older-than 7d --yes",
            "upload rm --data /srv/registry --empty --dry-run",
        ],
    ),
    (
        "login",
        &[
            "login ghcr.io",
            "pass show ghcr | dockhand login ghcr.io -u me --password-stdin",
        ],
    ),
    ("logout", &["logout ghcr.io"]),
    (
        "auth",
        &[
            "auth explain ghcr.io/team/app",
            "auth token ghcr.io/team/app --push",
        ],
    ),
    ("auth explain", &["auth explain ghcr.io/team/app"]),
    ("auth get", &["auth get ghcr.io"]),
    ("auth token", &["auth token ghcr.io/team/app --push"]),
    ("ping", &["ping ghcr.io"]),
    ("signatures", &["signatures ghcr.io/team/app:1"]),
    ("whoami", &["whoami ghcr.io"]),
    (
        "connections",
        &["connections", "connections production --json"],
    ),
    ("limits", &["limits"]),
];

/// The examples of a command.
pub(super) fn of(path: &str) -> Option<String> {
    let (_, lines) = EXAMPLES.iter().find(|(name, _)| *name == path)?;
    let mut text = "Examples:".to_owned();
    for line in *lines {
        let whole = if line.contains("| dockhand") {
            ""
        } else {
            "dockhand "
        };
        let _ = write!(text, "\n  {whole}{line}");
    }
    Some(text)
}
