//! Where the databases differ. Everything else about SQL is written once.
//!
//! Statements are written so that they mean the same everywhere: `?1` numbers parameters, text is
//! compared byte by byte, lists go on behind a key with `>` and no parameter is only compared with
//! NULL. What is left stands here:
//!
//! | in the statement | SQLite | PostgreSQL, when it comes |
//! |---|---|---|
//! | `?1` | `?1` | `$1` |
//! | `/* FOR UPDATE */` | a comment: there is one writer | `FOR UPDATE`: the row is locked first, decided on in a later statement |
//! | `/* FOR SHARE */` | a comment | `FOR SHARE`: the row stays as it is until the commit |
//! | `<id>` | `INTEGER PRIMARY KEY` | `BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY` |
//! | `<int>` | `INTEGER` | `BIGINT` |
//! | `<text>` | `TEXT` | `TEXT COLLATE "C"` |
//! | `<bytes>` | `BLOB` | `BYTEA` |
//! | `<keyed>` | `STRICT, WITHOUT ROWID`: the primary key is the row | nothing |
//! | `<heap>` | `STRICT`: rows lie by their id, which large ones need | nothing |

/// The schema's words, in the dialect of SQLite.
const SQLITE: [(&str, &str); 6] = [
    ("<id>", "INTEGER PRIMARY KEY"),
    ("<int>", "INTEGER"),
    ("<text>", "TEXT"),
    ("<bytes>", "BLOB"),
    ("<keyed>", "STRICT, WITHOUT ROWID"),
    ("<heap>", "STRICT"),
];

/// A part of the schema in the dialect of SQLite.
pub(super) fn sqlite(schema: &str) -> String {
    SQLITE
        .iter()
        .fold(schema.to_owned(), |text, (word, means)| {
            text.replace(word, means)
        })
}
