//! A YAML document as a tree whose every node knows where it was written.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Options, Spanned};

use crate::config::problem::Origin;

/// A node, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Origin,
    pub(super) data: Data,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A name in a map, where the name stands, and its node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) at: Origin,
    pub(super) node: Node,
}

/// What is no YAML: why, and where (line and column, from 1).
pub(super) type Fault = (String, usize, usize);

impl Node {
    /// Reads a document; `place` makes of line and column where it is.
    pub(super) fn parse(text: &str, place: &dyn Fn(usize, usize) -> Origin) -> Result<Self, Fault> {
        let mut options = Options::default();
        // A snippet would repeat what may be a password.
        options.with_snippet = false;
        let parsed = serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options);
        match parsed {
            Ok(Some(raw)) => Ok(raw.value.into_node(raw.referenced, place)),
            Ok(None) => Ok(Self {
                at: place(1, 1),
                data: Data::Null,
            }),
            Err(error) => {
                let (line, column) = error.location().map_or((1, 1), position);
                let text = error.without_snippet().to_string();
                // The place is told by us, and its options are not the operator's.
                let ends = [" at line ", ", set DuplicateKeyPolicy", "\n"];
                let end = ends
                    .iter()
                    .filter_map(|end| text.find(end))
                    .min()
                    .unwrap_or(text.len());
                let message = text.get(..end).unwrap_or_default().to_owned();
                Err((message, line, column))
            }
        }
    }

    /// The node below a path such as `http.tls.key`, unless it is null.
    pub(super) fn get(&self, path: &str) -> Option<&Self> {
        let node = path.split('.').try_fold(self, |node, name| {
            node.entries()
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| &entry.node)
        })?;
        (node.data != Data::Null).then_some(node)
    }

    /// The entries of a map; of anything else, none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A scalar as text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.data {
            Data::Text(text) => Some(text.clone()),
            Data::Bool(value) => Some(value.to_string()),
            Data::Integer(number) => Some(number.to_string()),
            Data::Float(number) => Some(number.to_string()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// A truth, also by the words that YAML 1.1 has for it, which Go's reader knows.
    pub(super) fn truth(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(value) => Some(*value),
            Data::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some(true),
                "false" | "no" | "off" | "n" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it says nothing, or says no: empty, `false`, `enabled: false`, `disabled: true`, or a
    /// list of such.
    pub(super) fn is_off(&self) -> bool {
        match &self.data {
            Data::Null | Data::Bool(false) => true,
            Data::Text(text) => text.is_empty(),
            Data::List(nodes) => nodes.iter().all(Self::is_off),
            Data::Map(entries) => {
                let says = |name| self.get(name).and_then(Self::truth);
                let silent = entries.iter().all(|entry| entry.node.is_off());
                silent || says("enabled") == Some(false) || says("disabled") == Some(true)
            }
            Data::Bool(true) | Data::Integer(_) | Data::Float(_) => false,
        }
    }
}

/// Where something of a file is.
pub(super) fn in_file(path: &Path, line: usize, column: usize) -> Origin {
    Origin::File {
        path: path.to_owned(),
        line,
        column,
    }
}

fn position(location: Location) -> (usize, usize) {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    (number(location.line()), number(location.column()))
}

/// A node as the reader gives it.
enum Raw {
    Scalar(Data),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Raw {
    fn into_node(self, location: Location, place: &dyn Fn(usize, usize) -> Origin) -> Node {
        let at = |location| {
            let (line, column) = position(location);
            place(line, column)
        };
        let node = |raw: Spanned<Self>| raw.value.into_node(raw.referenced, place);
        let data = match self {
            Self::Scalar(data) => data,
            Self::List(raws) => Data::List(raws.into_iter().map(node).collect()),
            Self::Map(raws) => {
                let entry = |(name, raw): (Spanned<String>, Spanned<Self>)| Entry {
                    at: at(name.referenced),
                    name: name.value,
                    node: node(raw),
                };
                Data::Map(raws.into_iter().map(entry).collect())
            }
        };
        Node {
            at: at(location),
            data,
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Raw, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Bool(value)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Raw, E> {
        let data = i64::try_from(number).map_or(Data::Float(number as f64), Data::Integer);
        Ok(Raw::Scalar(data))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Float(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Data::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = items.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, Fault> {
        Node::parse(text, &|line, column| in_file(Path::new("f"), line, column))
    }

    fn place(node: &Node) -> String {
        node.at.to_string()
    }

    #[test]
    fn every_node_knows_where_it_is() {
        let root =
            parse("version: 0.1\nhttp:\n  addr: :5000\n  tls: {key: a}\nlist:\n  - x\n  - 7\n")
                .unwrap();
        assert_eq!(place(root.get("http.addr").unwrap()), "f:3:9");
        assert_eq!(place(root.get("http.tls.key").unwrap()), "f:4:14");
        let http = root
            .entries()
            .iter()
            .find(|entry| entry.name == "http")
            .unwrap();
        assert_eq!(http.at.to_string(), "f:2:1");
        let Data::List(items) = &root.get("list").unwrap().data else {
            panic!("no list")
        };
        assert_eq!(
            (place(&items[1]), &items[1].data),
            ("f:7:5".into(), &Data::Integer(7))
        );
        assert_eq!(root.get("version").unwrap().data, Data::Float(0.1));
        assert_eq!(root.get("http.none"), None);
    }

    #[test]
    fn scalars() {
        let root = parse(
            "a: yes\nb: 'yes'\nc:\nd: ~\ne: 168h\nf: 010\ng: -1\nh: off\ni: 18446744073709551615\n",
        )
        .unwrap();
        assert_eq!(root.get("a").unwrap().truth(), Some(true));
        assert_eq!(root.get("h").unwrap().truth(), Some(false));
        assert_eq!(root.get("b").unwrap().truth(), Some(true));
        assert_eq!(root.get("c"), None);
        assert_eq!(root.get("d"), None);
        assert_eq!(root.get("e").unwrap().data, Data::Text("168h".into()));
        assert_eq!(root.get("g").unwrap().data, Data::Integer(-1));
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        for (text, line) in [
            ("a: [1", 1),
            ("a: 1\n b: 2\n", 2),
            ("a: 1\na: 2\n", 2),
            ("a: *x\n", 1),
            ("? [a]\n: b\n", 1),
        ] {
            let (message, at, _) = parse(text).unwrap_err();
            assert!(!message.is_empty());
            assert_eq!(at, line, "{text}: {message}");
        }
        assert_eq!(parse("").unwrap().data, Data::Null);
        assert_eq!(parse("# only a comment\n").unwrap().data, Data::Null);
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }
}
