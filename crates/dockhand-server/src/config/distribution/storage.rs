//! The sections `storage`, `catalog`, `tags` and `validation`: what is kept, and the rules for it.

use toml::Value;

use super::settings::Settings;
use super::tree::{Data, Node};

/// Where Distribution keeps its tree when it is not told.
const ROOT: &str = "/var/lib/registry";
/// Sections of `storage` that are no drivers.
const NO_DRIVERS: [&str; 5] = ["cache", "delete", "maintenance", "redirect", "tag"];
/// Stands for never: ten years.
const NEVER: &str = "87600h";

impl Settings<'_> {
    pub(super) fn storage(&mut self) {
        let drivers = self.drivers();
        let names: Vec<&str> = drivers.iter().map(|(name, _)| name.as_str()).collect();
        match names.as_slice() {
            [] => {
                let at = self.root.get("storage").unwrap_or(self.root).at.clone();
                self.layers.problem(at, "`storage` names no driver; `storage: {filesystem: {rootdirectory: /var/lib/registry}}` is the usual one");
            }
            ["filesystem"] => self.default("storage.path", ROOT.into()),
            ["inmemory"] => {
                let at = drivers[0].1.at.clone();
                self.set("storage.backend", "storage.inmemory", "memory".into(), &at);
            }
            [_] => {}
            several => {
                let at = drivers[1].1.at.clone();
                self.layers.problem(
                    at,
                    format!(
                        "`storage` names {} drivers ({}), but takes exactly one",
                        several.len(),
                        several.join(", ")
                    ),
                );
            }
        }
        self.set_text("storage.path", "storage.filesystem.rootdirectory");
        self.default("storage.delete", false.into());
        self.set_truth("storage.delete", "storage.delete.enabled", true);
        self.set_truth(
            "storage.readonly",
            "storage.maintenance.readonly.enabled",
            true,
        );
        self.purging();
        self.pages();
        self.validation();
    }

    /// Its entries that choose a driver.
    fn drivers(&self) -> Vec<(String, Node)> {
        let entries = self
            .root
            .get("storage")
            .map(Node::entries)
            .unwrap_or_default();
        let driver = entries
            .iter()
            .filter(|entry| !NO_DRIVERS.contains(&entry.name.as_str()));
        driver
            .map(|entry| {
                (
                    entry.name.clone(),
                    Node {
                        at: entry.at.clone(),
                        data: Data::Null,
                    },
                )
            })
            .collect()
    }

    fn purging(&mut self) {
        const PURGING: &str = "storage.maintenance.uploadpurging";
        let expiry = "server.limits.upload-expiry";
        self.set_duration(expiry, &format!("{PURGING}.age"));
        for (name, never) in [("enabled", false), ("dryrun", true)] {
            let from = format!("{PURGING}.{name}");
            if let Some((truth, at)) = self.truth(&from).filter(|(truth, _)| *truth == never) {
                self.set(expiry, &from, NEVER.into(), &at);
                if truth {
                    self.layers.warn(
                        &at,
                        format!("`{from}` keeps all uploads; what would be dropped is not listed"),
                    );
                }
            }
        }
    }

    fn pages(&mut self) {
        const PAGE: &str = "server.limits.page";
        let limits = ["catalog.maxentries", "tags.maxtags"].map(|from| (from, self.number(from)));
        let mut set: Vec<_> = limits
            .into_iter()
            .filter_map(|(from, limit)| Some((from, limit?)))
            .collect();
        set.sort_by_key(|(_, (number, _))| *number);
        let Some((from, (number, at))) = set.first().cloned() else {
            return;
        };
        if set.iter().any(|(_, (other, _))| *other != number) {
            self.layers.warn(
                &at,
                format!(
                    "`{from}` ({number}) is the limit of every list, since there is only one here"
                ),
            );
        }
        self.set(PAGE, from, Value::Integer(number), &at);
    }

    /// Manifests are checked unless that is disabled; `enabled` is the older name, and wins when true.
    fn validation(&mut self) {
        let enabled = self
            .truth("validation.enabled")
            .is_some_and(|(enabled, _)| enabled);
        if let Some((true, at)) = self.truth("validation.disabled").filter(|_| !enabled) {
            self.set("storage.sparse", "validation.disabled", true.into(), &at);
        }
    }
}
