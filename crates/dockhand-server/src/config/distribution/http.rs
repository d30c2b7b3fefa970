//! The section `http`.

use toml::{Table, Value};

use super::settings::Settings;
use super::tree::{Data, Node};
use crate::config::values::Headers;

/// Where Distribution listens when it is not told.
const ADDRESS: &str = ":5000";

impl Settings<'_> {
    pub(super) fn http(&mut self) {
        self.default("server.listen", ADDRESS.into());
        self.set_text("server.listen", "http.addr");
        if let Some((net, at)) = self.text("http.net").filter(|(net, _)| net != "tcp") {
            self.layers.problem(
                at,
                format!("`http.net` is \"{net}\", but only \"tcp\" is served"),
            );
        }
        self.set_text("server.public-url", "http.host");
        if let Some((prefix, at)) = self
            .text("http.prefix")
            .filter(|(text, _)| !text.trim_matches('/').is_empty())
        {
            let prefix = format!("/{}", prefix.trim_matches('/'));
            self.set("server.prefix", "http.prefix", prefix.into(), &at);
        }
        // Distribution answers with whole URLs unless it is told otherwise.
        self.default("server.locations", "absolute".into());
        if let Some((true, at)) = self.truth("http.relativeurls") {
            self.set(
                "server.locations",
                "http.relativeurls",
                "relative".into(),
                &at,
            );
        }
        // Distribution believes whoever sends such headers, and proxies in front rely on it.
        self.default("server.trusted-proxies", vec!["0.0.0.0/0", "::/0"].into());
        self.set_duration("server.drain", "http.draintimeout");
        self.set_truth("server.http2", "http.http2.disabled", false);
        self.headers();
        self.tls();
        self.debug();
    }

    fn headers(&mut self) {
        let mut table = Table::new();
        let Some(node) = self.get("http.headers").cloned() else {
            return;
        };
        if !matches!(node.data, Data::Map(_)) {
            self.layers.problem(
                node.at,
                "`http.headers` takes a map, such as {X-Frame-Options: [DENY]}",
            );
            return;
        }
        for entry in node.entries() {
            let values = match &entry.node.data {
                Data::List(items) => items.iter().map(Node::text).collect(),
                _ => entry.node.text().map(|text| vec![text]),
            };
            let value = values.unwrap_or_default().join(", ");
            match Headers::default().add(&entry.name, &value) {
                Ok(()) => {
                    table.insert(entry.name.to_ascii_lowercase(), value.into());
                }
                Err(why) => self.layers.warn(
                    &entry.at,
                    format!("`http.headers.{}` is ignored: {why}", entry.name),
                ),
            }
        }
        self.set(
            "server.headers",
            "http.headers",
            Value::Table(table),
            &node.at,
        );
    }

    fn tls(&mut self) {
        for (one, other) in [("certificate", "key"), ("key", "certificate")] {
            let (one, other) = (format!("http.tls.{one}"), format!("http.tls.{other}"));
            if let (Some(node), None) = (self.get(&one), self.get(&other)) {
                let at = node.at.clone();
                self.layers.problem(
                    at,
                    format!("`{one}` is set without `{other}`; TLS needs both"),
                );
                return;
            }
        }
        self.set_text("server.tls.cert", "http.tls.certificate");
        self.set_text("server.tls.key", "http.tls.key");
        self.minimum_tls();
        self.client_certificates();
    }

    fn minimum_tls(&mut self) {
        let Some((version, at)) = self.text("http.tls.minimumtls") else {
            return;
        };
        match version.as_str() {
            "tls1.2" | "tls1.3" => {
                let version = version.trim_start_matches("tls");
                self.set(
                    "server.tls.min-version",
                    "http.tls.minimumtls",
                    version.into(),
                    &at,
                );
            }
            "tls1.0" | "tls1.1" => {
                self.layers.warn(&at, format!("`http.tls.minimumtls` is {version}, which is broken; TLS 1.2 is the oldest that is spoken"));
            }
            _ => self.layers.problem(
                at,
                format!(
                    "`http.tls.minimumtls` is \"{version}\", but takes \"tls1.2\" or \"tls1.3\""
                ),
            ),
        }
    }

    fn client_certificates(&mut self) {
        const REQUIRED: &str = "require-and-verify-client-cert";
        let authorities = self
            .get("http.tls.clientcas")
            .filter(|node| !node.is_off())
            .cloned();
        if let Some((way, at)) = self.text("http.tls.clientauth") {
            if way != REQUIRED {
                self.layers.problem(at, format!("`http.tls.clientauth` is \"{way}\", but only \"{REQUIRED}\" is supported; remove it together with `http.tls.clientcas` to ask no client for a certificate"));
                return;
            }
            if authorities.is_none() {
                self.layers.problem(at, "`http.tls.clientauth` is set without `http.tls.clientcas`, so no certificate could be verified; name a file of authorities");
                return;
            }
        }
        let Some(node) = authorities else { return };
        let files = match &node.data {
            Data::List(items) => items.iter().map(Node::text).collect(),
            _ => node.text().map(|text| vec![text]),
        };
        match files.unwrap_or_default().as_slice() {
            [file] if self.get("http.tls.certificate").is_some() => {
                self.set("server.tls.client-ca", "http.tls.clientcas", file.as_str().into(), &node.at);
            }
            [_] => self.layers.problem(node.at, "`http.tls.clientcas` is set without `http.tls.certificate`; without TLS no client shows a certificate"),
            [] => self.layers.problem(node.at, "`http.tls.clientcas` takes a list with one file"),
            _ => self.layers.problem(node.at, "`http.tls.clientcas` names more than one file; put all authorities into one PEM file and name that"),
        }
    }

    fn debug(&mut self) {
        let address = self.text("http.debug.addr");
        let wanted = self
            .truth("http.debug.prometheus.enabled")
            .filter(|(wanted, _)| *wanted);
        match (address, wanted) {
            (Some((address, at)), Some(_)) => {
                self.default("metrics.enabled", true.into());
                self.set("metrics.listen", "http.debug.addr", address.into(), &at);
                self.set_text("metrics.path", "http.debug.prometheus.path");
            }
            (Some((_, at)), None) => self.layers.warn(&at, "`http.debug.addr` is not listened on: it would serve metrics, which `http.debug.prometheus.enabled` does not ask for; health is at /livez and /readyz"),
            (None, Some((_, at))) => self.layers.warn(&at, "`http.debug.prometheus` serves nothing without `http.debug.addr`"),
            (None, None) => {}
        }
    }
}
