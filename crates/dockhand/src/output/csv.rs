//! Lists as CSV: a line for each entry, a column for each of its fields.

use std::io::{self, Write};

use csv::Writer;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::printable;

/// The column of a list of names.
const NAME: &str = "name";

type Row = IndexMap<String, Value>;

/// What an answer is as lines. Fields come in the order in which they are in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    Rows(Vec<Row>),
    Names(Vec<Value>),
    One(Row),
    Name(Value),
}

/// Writes `value` with a head line: a list with a line for each entry, anything else as one line. What has
/// parts itself is JSON within its field.
pub(super) fn write<T>(out: &mut dyn Write, value: &T) -> io::Result<()>
where
    T: Serialize + ?Sized,
{
    let text = serde_json::to_string(value)?;
    let rows = match serde_json::from_str(&text)? {
        Lines::Rows(rows) => rows,
        Lines::One(row) => vec![row],
        Lines::Names(names) => names.into_iter().map(named).collect(),
        Lines::Name(name) => vec![named(name)],
    };
    // Not every entry has every field.
    let columns: IndexSet<&String> = rows.iter().flat_map(Row::keys).collect();
    if columns.is_empty() {
        return Ok(());
    }
    let mut lines = Writer::from_writer(out);
    lines.write_record(columns.iter().map(|name| name.as_bytes()))?;
    for row in &rows {
        lines.write_record(columns.iter().map(|name| field(row.get(*name))))?;
    }
    lines.flush()
}

fn named(name: Value) -> Row {
    Row::from([(NAME.to_owned(), name)])
}

fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => printable(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize)]
    struct Entry {
        tag: &'static str,
        digest: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        also: Option<Vec<u8>>,
    }

    #[test]
    fn lists_become_lines() {
        let entry = |tag, digest, also| Entry { tag, digest, also };
        let list = [
            entry("a", None, None),
            entry("b, \"c\"\u{1b}", Some(1), Some(vec![1, 2])),
        ];
        let expected = "tag,digest,also\na,,\n\"b, \"\"c\"\"\\u{1b}\",1,\"[1,2]\"\n";
        assert_eq!(written(&list), expected);
        assert_eq!(written(&&list[1..]), expected.replace("a,,\n", ""));
        assert_eq!(written(&entry("a", None, None)), "tag,digest\na,\n");
        assert_eq!(written(&json!(["x", "y"])), "name\nx\ny\n");
        assert_eq!(written(&json!([])), "");
        assert_eq!(written(&json!(true)), "name\ntrue\n");
    }
}
