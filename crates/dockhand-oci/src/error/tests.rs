//! The table of codes is the specification's, and bodies have its form.

use std::collections::BTreeSet;

use super::*;

/// The table of the specification, word by word.
const SPECIFIED: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// Codes that are known through CNCF Distribution, and our own for a failed `If-Match`.
const OTHERS: [&str; 6] = [
    "TAG_INVALID",
    "RANGE_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "PRECONDITION_FAILED",
    "UNAVAILABLE",
    "UNKNOWN",
];

#[test]
fn the_table_is_the_specification() {
    let ours: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let wanted: Vec<_> = SPECIFIED.into_iter().chain(OTHERS).collect();
    assert_eq!(ours, wanted);
    assert_eq!(ours.iter().collect::<BTreeSet<_>>().len(), ours.len());
    for code in ErrorCode::ALL {
        assert_eq!(code.to_string(), code.as_str());
        assert!(!code.meaning().is_empty() && !code.meaning().ends_with('.'));
    }
}

#[test]
fn a_body_is_a_list_of_errors() {
    let error = |detail| ErrorInfo {
        code: ErrorCode::NameUnknown.as_str().to_owned(),
        message: "no such repository".to_owned(),
        detail,
    };
    let errors = vec![
        error(serde_json::Value::Null),
        error(serde_json::json!({"name": "a"})),
    ];
    let body = ErrorBody { errors };
    let json = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"},{"code":"NAME_UNKNOWN","message":"no such repository","detail":{"name":"a"}}]}"#;
    assert_eq!(serde_json::to_string(&body).unwrap(), json);
    assert_eq!(serde_json::from_str::<ErrorBody>(json).unwrap(), body);
    let bare: ErrorBody = serde_json::from_str(r#"{"errors":[{"code":"OTHER"}],"x":1}"#).unwrap();
    assert_eq!(bare.errors[0].code, "OTHER");
    assert_eq!(
        serde_json::from_str::<ErrorBody>("{}").unwrap(),
        ErrorBody::default()
    );
}
