use super::*;

const BLOB: &str = "docker/registry/v2/blobs/sha256/e3/e3b0/data";
const SHARD: &str = "docker/registry/v2/blobs/sha256/e3/";
const LINK: &str = "docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link";
const UPLOAD: &str = "uploads/6f1d3f2a-6c0e-4c0b-9a57-0d6c5d3d2f11";

/// Files, and what a usual, a new and a read-only start make of them.
type Case<'a> = (&'a [(&'a str, &'a str)], [&'a str; 3]);

/// A folder of files, each with its bytes; a name that ends with `/` is a folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = root.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    root
}

/// What becomes of a start: the opening, or the name of the error.
fn outcome(files: &[(&str, &str)], start: Start) -> String {
    let root = folder(files);
    let decided = Folder::look(root.path()).unwrap().opening(start);
    let text = match decided {
        Ok(opening) => format!("{opening:?}"),
        Err(error) => format!("{error:?}"),
    };
    text.split([' ', '{']).next().unwrap().to_owned()
}

#[test]
fn a_database_is_created_only_where_nothing_of_a_registry_is() {
    const DB: (&str, &str) = ("dockhand.db", "a database");
    const EMPTY: (&str, &str) = ("dockhand.db", "");
    const WAL: (&str, &str) = ("dockhand.db-wal", "a log");
    let blob = (BLOB, "");
    let cases: &[Case] = &[
        (&[], ["Any", "New", "Nothing"]),
        (&[("notes.txt", "x")], ["Any", "New", "Nothing"]),
        (&[EMPTY], ["Any", "New", "Nothing"]),
        (&[EMPTY, ("dockhand.db-wal", "")], ["Any", "New", "Nothing"]),
        // What a start that was cut off leaves.
        (
            &[DB, ("docker/registry/v2/blobs/", ""), ("uploads/", "")],
            ["Any", "New", "ReadOnly"],
        ),
        (&[(SHARD, "")], ["Any", "New", "Nothing"]),
        (&[("uploads/photo.jpg", "x")], ["Any", "New", "Nothing"]),
        (
            &[("docker/registry/v2/repositories/", "")],
            ["Any", "New", "Nothing"],
        ),
        (&[DB, blob], ["Existing", "New", "ReadOnly"]),
        (&[DB, blob, WAL], ["Existing", "New", "ReadOnly"]),
        (&[DB, blob, (LINK, "")], ["Existing", "New", "ReadOnly"]),
        (&[blob], ["NoDatabase", "New", "NoDatabase"]),
        (&[EMPTY, blob], ["NoDatabase", "New", "NoDatabase"]),
        (&[(UPLOAD, "x")], ["NoDatabase", "New", "NoDatabase"]),
        (&[(LINK, "")], ["Distribution", "New", "Distribution"]),
        (&[(LINK, ""), blob], ["Distribution", "New", "Distribution"]),
        (
            &[EMPTY, (LINK, ""), blob],
            ["Distribution", "New", "Distribution"],
        ),
        (&[WAL], ["LogLeft", "LogLeft", "LogLeft"]),
        (&[EMPTY, WAL, blob], ["LogLeft", "LogLeft", "LogLeft"]),
    ];
    for (files, expected) in cases {
        let starts = [Start::Usual, Start::New, Start::ReadOnly];
        let outcomes = starts.map(|start| outcome(files, start));
        assert_eq!(outcomes, *expected, "{files:?}");
    }
}

#[test]
fn a_folder_that_does_not_exist_holds_nothing_and_is_not_made() {
    let root = tempfile::tempdir().unwrap();
    let nowhere = root.path().join("no/such");
    let opening = Folder::look(&nowhere).unwrap().opening(Start::Usual);
    assert_eq!(opening.unwrap(), Opening::Any);
    assert!(!root.path().join("no").exists());
}

#[test]
fn errors_say_what_was_found() {
    let say = |files| {
        let root = folder(files);
        let error = Folder::look(root.path()).unwrap().opening(Start::Usual);
        let text = error.unwrap_err().to_string();
        text.replace(&root.path().display().to_string(), "DIR")
    };
    assert_eq!(
        say(&[(BLOB, ""), (UPLOAD, "")]),
        "DIR holds blobs (docker/registry/v2/blobs) and unfinished uploads (uploads), but its database \
         dockhand.db is missing; without it all repositories, tags and manifests would be missing"
    );
    assert!(say(&[("dockhand.db", ""), (BLOB, "")]).contains("dockhand.db is empty (0 bytes)"));
    assert!(
        say(&[(LINK, "")]).contains("CNCF Distribution registry (docker/registry/v2/repositories)")
    );
}
