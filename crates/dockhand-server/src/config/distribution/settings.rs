//! Reads single keys of a document into native ones.

use std::time::Duration;

use toml::Value;

use super::go_duration;
use super::tree::{Data, Node};
use crate::config::keys;
use crate::config::layers::Layers;
use crate::config::problem::Origin;
use crate::config::values::Period;

/// A document, and the configuration that it becomes.
pub(super) struct Settings<'a> {
    pub(super) root: &'a Node,
    pub(super) layers: &'a mut Layers,
}

impl Settings<'_> {
    /// Sets a native key from one of the document's.
    pub(super) fn set(&mut self, path: &str, from: &str, value: Value, at: &Origin) {
        if let Some(key) = keys().find(|key| key.path() == path) {
            self.layers.set_as(key, from, value, at.clone());
        }
    }

    /// Sets what holds when the document says nothing.
    pub(super) fn default(&mut self, path: &str, value: Value) {
        self.set(path, path, value, &Origin::Default);
    }

    /// A key that says something.
    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.root
            .get(path)
            .filter(|node| node.data != Data::Text(String::new()))
    }

    /// The text of a key, and where it is.
    pub(super) fn text(&mut self, path: &str) -> Option<(String, Origin)> {
        self.read(path, "a text", Node::text)
    }

    /// A truth.
    pub(super) fn truth(&mut self, path: &str) -> Option<(bool, Origin)> {
        self.read(path, "true or false", Node::truth)
    }

    /// A time as Go writes it.
    pub(super) fn duration(&mut self, path: &str) -> Option<(Duration, Origin)> {
        let read = |node: &Node| go_duration::parse(&node.text()?);
        let found = self.read(path, "a time with its unit, such as \"168h\"", read)?;
        let bare = matches!(self.root.get(path)?.data, Data::Integer(number) if number != 0);
        if bare {
            let nanoseconds = found.0.as_nanos();
            self.layers.warn(
                &found.1,
                format!("`{path}` is {nanoseconds} nanoseconds, since a number without a unit counts these in CNCF Distribution"),
            );
        }
        Some(found)
    }

    /// A number; what is not positive is as if it were not set.
    pub(super) fn number(&mut self, path: &str) -> Option<(i64, Origin)> {
        let read = |node: &Node| node.text()?.parse().ok();
        self.read(path, "a whole number, such as 1000", read)
            .filter(|(number, _)| *number > 0)
    }

    fn read<T>(
        &mut self,
        path: &str,
        expects: &str,
        read: impl Fn(&Node) -> Option<T>,
    ) -> Option<(T, Origin)> {
        let node = self.get(path)?;
        let at = node.at.clone();
        let value = read(node);
        if value.is_none() {
            self.layers
                .problem(at.clone(), format!("`{path}` takes {expects}"));
        }
        value.map(|value| (value, at))
    }

    /// Sets a native key to the text of one of the document's.
    pub(super) fn set_text(&mut self, path: &str, from: &str) {
        if let Some((text, at)) = self.text(from) {
            self.set(path, from, Value::String(text), &at);
        }
    }

    /// Sets a native key to a time of the document.
    pub(super) fn set_duration(&mut self, path: &str, from: &str) {
        if let Some((time, at)) = self.duration(from) {
            self.set(path, from, Value::String(Period(time).to_string()), &at);
        }
    }

    /// Sets a native key to a truth of the document, or to its opposite.
    pub(super) fn set_truth(&mut self, path: &str, from: &str, when: bool) {
        if let Some((truth, at)) = self.truth(from) {
            self.set(path, from, Value::Boolean(truth == when), &at);
        }
    }
}
