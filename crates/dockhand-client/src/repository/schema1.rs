//! Docker's manifests of schema 1, as far as they are still met: their digest is not that of their bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dockhand_oci::{Algorithm, Digest, MediaType};
use serde::Deserialize;

/// The digest by which a registry names these bytes. That of a signed manifest of schema 1 leaves its
/// signatures out: it is taken over the text that was signed.
///
/// <https://distribution.github.io/distribution/spec/deprecated-schema-v1/#signed-manifests>
pub(super) fn digest(algorithm: Algorithm, media_type: Option<&str>, bytes: &[u8]) -> Digest {
    let may_be_signed = media_type.is_none_or(|kind| kind == MediaType::DOCKER_SCHEMA1_SIGNED);
    match payload(bytes).filter(|_| may_be_signed) {
        Some(payload) => algorithm.digest(&payload),
        None => algorithm.digest(bytes),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    schema_version: u8,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

/// How the text that was signed is made of the document: its first bytes, and an end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// The text that was signed; `None` when the document is no signed manifest of schema 1.
fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let signed: Signed = serde_json::from_slice(bytes).ok()?;
    if signed.schema_version != 1 {
        return None;
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let protected = decode(&signed.signatures.first()?.protected)?;
    let protected: Protected = serde_json::from_slice(&protected).ok()?;
    let mut payload = bytes.get(..protected.format_length)?.to_vec();
    payload.extend(decode(&protected.format_tail)?);
    Some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signed manifest, and the text that was signed.
    fn signed() -> (String, String) {
        let text = "{\n   \"schemaVersion\": 1,\n   \"name\": \"hello\"\n}".to_owned();
        let length = text.rfind('\n').unwrap();
        let protected = format!(
            "{{\"formatLength\":{length},\"formatTail\":\"{}\",\"time\":\"2015\"}}",
            URL_SAFE_NO_PAD.encode("\n}")
        );
        let protected = URL_SAFE_NO_PAD.encode(protected);
        let signatures =
            format!(",\n   \"signatures\": [ {{ \"protected\": \"{protected}\" }} ]\n}}");
        (format!("{}{signatures}", &text[..length]), text)
    }

    #[test]
    fn signatures_do_not_count() {
        let (document, text) = signed();
        let expected = Algorithm::Sha256.digest(text.as_bytes());
        for kind in [Some(MediaType::DOCKER_SCHEMA1_SIGNED), None] {
            let found = digest(Algorithm::Sha256, kind, document.as_bytes());
            assert_eq!(found, expected, "{kind:?}");
        }
        let whole = Algorithm::Sha256.digest(document.as_bytes());
        let kind = Some(MediaType::OCI_MANIFEST);
        assert_eq!(digest(Algorithm::Sha256, kind, document.as_bytes()), whole);
    }

    #[test]
    fn anything_else_is_its_bytes() {
        let protected = URL_SAFE_NO_PAD.encode("{\"formatLength\":99999,\"formatTail\":\"fQ\"}");
        let beyond =
            format!("{{\"schemaVersion\":1,\"signatures\":[{{\"protected\":\"{protected}\"}}]}}");
        for text in ["", "{}", "{\"schemaVersion\":1,\"signatures\":[]}", &beyond] {
            let found = digest(Algorithm::Sha256, None, text.as_bytes());
            assert_eq!(found, Algorithm::Sha256.digest(text.as_bytes()), "{text}");
        }
    }
}
