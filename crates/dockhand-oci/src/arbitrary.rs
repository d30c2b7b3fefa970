//! Strategies for the property tests: every word, as any valid value of it.

use proptest::prelude::*;

use crate::{
    Algorithm, Descriptor, Digest, Endpoint, ImageRef, MediaType, Platform, Reference, RepoName,
    Tag, UploadId,
};

/// Parts of names that are also words of the API, where a parser would go wrong first.
const API_WORDS: [&str; 8] = [
    "blobs",
    "uploads",
    "manifests",
    "tags",
    "list",
    "referrers",
    "history",
    "v2",
];

pub(crate) fn repo_name() -> impl Strategy<Value = RepoName> {
    let part = prop_oneof![
        2 => "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}",
        1 => prop::sample::select(&API_WORDS[..]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/").parse().unwrap())
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        2 => "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
        1 => prop::sample::select(&API_WORDS[..]).prop_map(str::to_owned),
    ]
    .prop_map(|text| text.parse().unwrap())
}

pub(crate) fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(&Algorithm::ALL[..])
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    (algorithm(), any::<[u8; 8]>()).prop_map(|(algorithm, bytes)| algorithm.digest(&bytes))
}

pub(crate) fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        tag().prop_map(Reference::Tag),
        digest().prop_map(Reference::Digest)
    ]
}

pub(crate) fn endpoint() -> impl Strategy<Value = Endpoint> {
    let upload = any::<u128>().prop_map(UploadId::from_random);
    prop_oneof![
        Just(Endpoint::Base),
        Just(Endpoint::Catalog),
        repo_name().prop_map(Endpoint::Tags),
        (repo_name(), reference()).prop_map(|(name, r)| Endpoint::Manifest(name, r)),
        (repo_name(), digest()).prop_map(|(name, digest)| Endpoint::Blob(name, digest)),
        repo_name().prop_map(Endpoint::Uploads),
        (repo_name(), upload).prop_map(|(name, id)| Endpoint::Upload(name, id)),
        (repo_name(), digest()).prop_map(|(name, digest)| Endpoint::Referrers(name, digest)),
        (repo_name(), tag()).prop_map(|(name, tag)| Endpoint::TagHistory(name, tag)),
    ]
}

pub(crate) fn media_type() -> impl Strategy<Value = MediaType> {
    "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,20}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
        .prop_map(|text| text.parse().unwrap())
}

fn platform_part() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.-]{1,8}"
}

pub(crate) fn platform() -> impl Strategy<Value = Platform> {
    (
        platform_part(),
        platform_part(),
        prop::option::of(platform_part()),
        prop::option::of(platform_part()),
        prop::collection::vec(platform_part(), 0..3),
    )
        .prop_map(|(os, architecture, variant, os_version, os_features)| {
            let other = serde_json::Map::new();
            Platform {
                architecture,
                os,
                os_version,
                os_features,
                variant,
                other,
            }
        })
}

pub(crate) fn descriptor() -> impl Strategy<Value = Descriptor> {
    (
        media_type(),
        digest(),
        0..=i64::MAX.cast_unsigned(),
        prop::collection::vec(".{0,20}", 0..3),
        prop::collection::btree_map(".{0,10}", ".{0,10}", 0..3),
        prop::option::of(".{0,20}"),
        prop::option::of(platform()),
        prop::collection::btree_map("x-.{0,10}", any::<i64>(), 0..3),
    )
        .prop_map(
            |(media_type, digest, size, urls, annotations, artifact_type, platform, other)| {
                Descriptor {
                    urls,
                    annotations,
                    artifact_type,
                    platform,
                    other: other.into_iter().map(|(k, v)| (k, v.into())).collect(),
                    ..Descriptor::new(media_type.as_str(), digest, size)
                }
            },
        )
}

pub(crate) fn image_ref() -> impl Strategy<Value = ImageRef> {
    let host = prop_oneof![
        Just("docker.io".to_owned()),
        Just("localhost".to_owned()),
        Just("[::1]".to_owned()),
        Just("[2001:db8::7]:443".to_owned()),
        "[A-Za-z0-9]{1,8}(-[a-z0-9]{1,3}){0,2}(\\.[a-z0-9]{1,6}){1,3}",
        "[a-z0-9]{1,8}:[1-9][0-9]{0,3}",
    ];
    let tag = prop::option::of(tag());
    (host, repo_name(), tag, prop::option::of(digest())).prop_map(
        |(registry, repository, tag, digest)| {
            // Docker Hub has no repository of one part: the parser puts `library/` before it.
            let repository = if registry == "docker.io" && !repository.as_str().contains('/') {
                format!("library/{repository}").parse().unwrap()
            } else {
                repository
            };
            ImageRef {
                registry,
                repository,
                tag,
                digest,
            }
        },
    )
}
