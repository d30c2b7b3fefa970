//! The section `log`.

use toml::{Table, Value};

use super::settings::Settings;
use super::tree::Data;

impl Settings<'_> {
    pub(super) fn log(&mut self) {
        for from in ["loglevel", "log.level"] {
            if let Some((level, at)) = self.text(from) {
                let level = match level.to_ascii_lowercase().as_str() {
                    "warning" => "warn".to_owned(),
                    "fatal" | "panic" => "error".to_owned(),
                    other => other.to_owned(),
                };
                self.set("log.level", from, level.into(), &at);
            }
        }
        if let Some((format, at)) = self.text("log.formatter") {
            let format = if format == "logstash" {
                self.layers.warn(
                    &at,
                    "`log.formatter` is logstash: lines are JSON, with names of our own",
                );
                "json".to_owned()
            } else {
                format
            };
            self.set("log.format", "log.formatter", format.into(), &at);
        }
        self.set_truth("log.access", "log.accesslog.disabled", false);
        self.fields();
    }

    fn fields(&mut self) {
        let Some(node) = self.get("log.fields").cloned() else {
            return;
        };
        if !matches!(node.data, Data::Map(_)) {
            self.layers.problem(
                node.at,
                "`log.fields` takes a map, such as {service: registry}",
            );
            return;
        }
        let mut table = Table::new();
        for entry in node.entries() {
            match entry.node.text() {
                Some(text) => {
                    table.insert(entry.name.clone(), Value::String(text));
                }
                None => self.layers.warn(
                    &entry.at,
                    format!(
                        "`log.fields.{}` is ignored, since it is no text",
                        entry.name
                    ),
                ),
            }
        }
        self.set("log.fields", "log.fields", Value::Table(table), &node.at);
    }
}
