//! One check for each parser, over any bytes. The fuzz targets call these, and so do the tests, so
//! that neither can rot without the other.
//!
//! A check asserts more than the absence of panics: what is accepted prints to text that reads as the
//! same value, and keeps what callers rely on. What is refused has a message.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use dockhand_oci::{
    Algorithm, ByteRange, ContentRange, Digest, Endpoint, Hasher, ImageRef, LINKS_MAX, Link,
    LinkKind, Manifest, ManifestKind, MediaType, NAME_MAX, PATH_MAX, Platform, Reference, RepoName,
    TAG_MAX, Tag, UploadId, parse_n,
};

/// A check: panics when what it asserts does not hold for these bytes. The answer is whether the
/// parser took them, so that the tests know that their seeds reach behind the first refusal.
pub type Check = fn(&[u8]) -> bool;

/// Every check by the name of its fuzz target.
pub const ALL: [(&str, Check); 11] = [
    ("content_range", content_range),
    ("digest", digest),
    ("endpoint", endpoint),
    ("hasher", hasher),
    ("image_ref", image_ref),
    ("link", link),
    ("manifest", manifest),
    ("media_type", media_type),
    ("name_tag", name_tag),
    ("platform", platform),
    ("range", range),
];

/// The bytes as text; a parser of headers and paths never sees anything else.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Reads the text; asserts that what was read prints and reads as itself, or that the error says
/// something on one line.
fn round_trip<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + Debug + PartialEq,
    T::Err: Display + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            let again: T = printed.parse().expect("what is printed can be read");
            assert_eq!(again, value, "printed as {printed:?}");
            Some(value)
        }
        Err(error) => {
            says_why(&error);
            None
        }
    }
}

fn says_why(error: &dyn Display) {
    let message = error.to_string();
    assert!(!message.is_empty(), "an error says nothing");
}

/// Asserts that a text can stand in a header and in a path as it is, and does not climb in one.
fn plain(text: &str) {
    assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text:?}");
    assert!(
        text.split('/').all(|part| part != "." && part != ".."),
        "{text:?} climbs"
    );
}

/// [`ContentRange`], and the number of a page beside it.
pub fn content_range(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let range = round_trip::<ContentRange>(text);
    if let Some(range) = range {
        assert!(range.start <= range.end);
        let wanted = u128::from(range.end) - u128::from(range.start) + 1;
        let length = u64::try_from(wanted).unwrap_or(u64::MAX);
        assert_eq!(range.length(), length);
    }
    if let Ok(n) = parse_n(text) {
        assert!(text.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(parse_n(&n.to_string()), Ok(n));
    }
    range.is_some()
}

/// [`Digest`], [`Algorithm`] and [`Reference`].
pub fn digest(bytes: &[u8]) -> bool {
    let text = text(bytes);
    if let Some(digest) = round_trip::<Digest>(text) {
        assert_eq!(digest.to_string(), text, "a digest has one spelling");
        let again = Digest::from_bytes(digest.algorithm(), digest.as_bytes());
        assert_eq!(again, Some(digest));
    }
    if let Some(algorithm) = round_trip::<Algorithm>(text) {
        assert_eq!(algorithm.as_str(), text);
    }
    let reference = round_trip::<Reference>(text);
    if let Some(reference) = &reference {
        assert_eq!(reference.to_string(), text);
        assert_eq!(
            matches!(reference, Reference::Digest(_)),
            text.contains(':')
        );
    }
    reference.is_some()
}

/// [`Endpoint`] and [`UploadId`].
pub fn endpoint(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let upload = round_trip::<UploadId>(text).is_some();
    let endpoint = match Endpoint::parse(text) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            says_why(&error);
            return upload;
        }
    };
    let printed = endpoint.to_string();
    assert_eq!(
        Endpoint::parse(&printed).as_ref(),
        Ok(&endpoint),
        "{printed:?}"
    );
    plain(&printed);
    assert!(text.len() <= PATH_MAX && printed.starts_with("/v2/"));
    // No other path hides in it: the same slashes, but for a last one that may be left out.
    let slashes = |text: &str| text.matches('/').count();
    let left_out = slashes(&printed).checked_sub(slashes(text));
    assert!(
        left_out.is_some_and(|left_out| left_out <= 1),
        "{text:?} is {printed:?}"
    );
    true
}

/// [`Hasher`]: any bytes as a saved state, and any bytes split at their first.
pub fn hasher(bytes: &[u8]) -> bool {
    let resumed = Hasher::resume(bytes);
    if let Some(mut resumed) = resumed.clone() {
        assert_eq!(resumed.save(), bytes, "a state has one form");
        let before = resumed.length();
        resumed.update(&[0; 300]);
        assert_eq!(resumed.length(), before + 300);
        assert_eq!(resumed.algorithm(), resumed.finish().algorithm());
    }
    let Some((first, rest)) = bytes.split_first() else {
        return false;
    };
    let (head, tail) = rest.split_at(usize::from(*first).min(rest.len()));
    for algorithm in Algorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(head);
        let mut hasher = Hasher::resume(&hasher.save()).expect("what was saved is resumed");
        hasher.update(tail);
        let digest = algorithm.digest(rest);
        let verified = hasher.verify(&digest).expect("the split changes nothing");
        assert_eq!(
            (*verified.digest(), verified.size()),
            (digest, rest.len() as u64)
        );
    }
    resumed.is_some()
}

/// [`ImageRef`].
pub fn image_ref(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let image = round_trip::<ImageRef>(text);
    if let Some(image) = &image {
        let familiar = image.familiar();
        assert_eq!(
            familiar.parse::<ImageRef>().as_ref(),
            Ok(image),
            "{familiar:?}"
        );
        assert!(familiar.len() <= image.to_string().len());
        plain(image.host());
        plain(image.repository.as_str());
        assert_eq!(
            image.tag_or_latest().is_none(),
            image.tag.is_none() && image.digest.is_some()
        );
    }
    image.is_some()
}

/// [`Link`]: any bytes as a header that a registry sent, and as a target that we send.
pub fn link(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let found = Link::parse_next(text);
    if let Some(target) = found {
        assert!(text.contains(&format!("<{target}>")));
        // Found once, found again in the header that we would send for it.
        let header = Link::next(target);
        assert!(Link::parse_next(&header).is_some());
    }
    let header = Link::next(text);
    assert!(
        header.bytes().all(|b| (b' '..=b'~').contains(&b)),
        "{header:?}"
    );
    let target = Link::parse_next(&header).expect("our own link is found");
    assert!(target.bytes().all(|b| b.is_ascii_graphic()), "{target:?}");
    if text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
    {
        assert_eq!(target, text);
    }
    found.is_some()
}

/// [`Manifest`]: the first byte chooses the content type, the rest is the document.
pub fn manifest(bytes: &[u8]) -> bool {
    const TYPES: [Option<&str>; 8] = [
        None,
        Some(MediaType::OCI_MANIFEST),
        Some(MediaType::OCI_INDEX),
        Some(MediaType::DOCKER_MANIFEST),
        Some(MediaType::DOCKER_LIST),
        Some(MediaType::DOCKER_SCHEMA1),
        Some(MediaType::DOCKER_SCHEMA1_SIGNED),
        Some("application/json"),
    ];
    let Some((first, document)) = bytes.split_first() else {
        return false;
    };
    let content_type = TYPES[usize::from(first % 8)].map(|text| text.parse().expect("known"));
    match Manifest::parse(content_type.as_ref(), document) {
        Ok(manifest) => {
            manifest_holds(content_type.as_ref(), document, &manifest);
            true
        }
        Err(error) => {
            says_why(&error);
            false
        }
    }
}

/// What must be true of a manifest that was taken.
fn manifest_holds(content_type: Option<&MediaType>, document: &[u8], manifest: &Manifest) {
    let again = Manifest::parse(Some(&manifest.media_type), document);
    let docker = manifest.media_type.as_str().contains("docker");
    assert!(content_type.is_none_or(|content_type| *content_type == manifest.media_type));
    assert_eq!(
        again.as_ref(),
        Ok(manifest),
        "its own type reads it the same"
    );
    assert!(manifest.links.len() <= LINKS_MAX);
    let count = |kind| {
        manifest
            .links
            .iter()
            .filter(|link| link.kind == kind)
            .count()
    };
    match manifest.kind {
        ManifestKind::Image => {
            assert_eq!((count(LinkKind::Config), count(LinkKind::Manifest)), (1, 0));
            assert!(manifest.artifact_type.is_some());
        }
        ManifestKind::Index => assert_eq!(count(LinkKind::Config), 0),
    }
    assert!(
        manifest
            .links
            .iter()
            .all(|link| i64::try_from(link.descriptor.size).is_ok())
    );
    // A second reader, who takes the last of two equal keys, sees the same document.
    let value: serde_json::Value = serde_json::from_slice(document).expect("it is JSON");
    assert_eq!(value["schemaVersion"], 2);
    let stated = value.get("mediaType").and_then(serde_json::Value::as_str);
    assert!(stated.map_or(!docker, |stated| stated == manifest.media_type.as_str()));
    for link in &manifest.links {
        let json = serde_json::to_string(&link.descriptor).expect("a descriptor is written");
        assert_eq!(
            serde_json::from_str(&json).ok().as_ref(),
            Some(&link.descriptor)
        );
    }
}

/// [`MediaType`], plain and as a header.
pub fn media_type(bytes: &[u8]) -> bool {
    let text = text(bytes);
    if let Some(media_type) = round_trip::<MediaType>(text) {
        assert_eq!(media_type.as_str(), text, "kept as it came");
        assert_eq!(MediaType::from_content_type(text), Ok(media_type));
        assert!(text.len() <= 255);
    }
    let header = MediaType::from_content_type(text);
    if let Ok(media_type) = header.clone() {
        assert!(media_type.as_str().bytes().all(|b| b.is_ascii_graphic()));
        let with_parameter = format!(" {media_type}; charset=utf-8");
        assert_eq!(
            MediaType::from_content_type(&with_parameter),
            Ok(media_type)
        );
    }
    header.is_ok()
}

/// [`RepoName`] and [`Tag`].
pub fn name_tag(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let (name, tag) = (round_trip::<RepoName>(text), round_trip::<Tag>(text));
    let read = name.is_some() || tag.is_some();
    if let Some(name) = name {
        assert_eq!(name.as_str(), text);
        plain(text);
        assert!(text.len() <= NAME_MAX && !text.contains("//"));
        let path = Endpoint::Tags(name.clone()).to_string();
        assert_eq!(Endpoint::parse(&path), Ok(Endpoint::Tags(name)));
    }
    if let Some(tag) = tag {
        assert_eq!(tag.as_str(), text);
        assert!(text.len() <= TAG_MAX && !text.starts_with('.') && !text.contains('/'));
        let endpoint = Endpoint::TagHistory("a".parse().expect("a name"), tag);
        assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
    }
    read
}

/// [`Platform`], as text and as JSON.
pub fn platform(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let (plain, json) = (
        round_trip::<Platform>(text),
        serde_json::from_str::<Platform>(text),
    );
    let read = plain.is_some() || json.is_ok();
    if let Some(platform) = plain {
        assert!(platform.matches(&platform) && platform.matches(&Platform::default()));
        let json = serde_json::to_string(&platform).expect("a platform is written");
        assert_eq!(serde_json::from_str::<Platform>(&json).ok(), Some(platform));
    }
    if let Ok(platform) = json {
        let json = serde_json::to_string(&platform).expect("a platform is written");
        assert_eq!(
            serde_json::from_str::<Platform>(&json).ok().as_ref(),
            Some(&platform)
        );
        assert!(platform.matches(&platform));
    }
    read
}

/// [`ByteRange`]: the first eight bytes are the size, the rest is the header.
pub fn range(bytes: &[u8]) -> bool {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let size = u64::from_be_bytes(*size);
    let Some(range) = ByteRange::parse(text(header)) else {
        return false;
    };
    assert_eq!(ByteRange::parse(&range.to_string()), Some(range));
    for size in [size, size >> 32, 0, 1, u64::MAX] {
        if let Some(part) = range.resolve(size) {
            assert!(part.start < part.end && part.end <= size);
        }
    }
    assert_eq!(range.resolve(0), None);
    true
}
