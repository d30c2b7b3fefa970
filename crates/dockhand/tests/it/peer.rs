//! A peer that answers as a test says, and writes down what it was asked: for what our own server never says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request: its first line, its other lines in lower case but for their values, its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// `GET /v2/?n=1`
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = { self.headers.iter() }.find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Status, headers, body.
pub(crate) type Said = (u16, Vec<(&'static str, String)>, String);

/// An answer in JSON of a registry.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Said {
    let headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("Docker-Distribution-Api-Version", "registry/2.0".to_owned()),
    ];
    (status, headers, body.to_string())
}

pub(crate) struct Peer {
    /// Host and port.
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // Who asks may go away.
                let _ = converse(stream, &answer, &kept);
            }
        });
        Self { host, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn converse(
    mut stream: TcpStream,
    answer: &impl Fn(&Asked) -> Said,
    kept: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut asked = Asked::default();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        match line.trim_end().split_once(": ") {
            Some((name, value)) => {
                let name = name.to_ascii_lowercase();
                asked.headers.push((name, value.to_owned()));
            }
            None => line
                .trim_end_matches(" HTTP/1.1\r\n")
                .clone_into(&mut asked.line),
        }
        line.clear();
    }
    let length = asked.header("content-length").parse().unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let (status, headers, body) = answer(&asked);
    kept.lock().unwrap().push(asked.clone());
    write!(stream, "HTTP/1.1 {status} So it is\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    let body = match asked.line.starts_with("HEAD ") {
        true => "",
        false => &body,
    };
    if !asked.line.starts_with("HEAD ") {
        write!(stream, "Content-Length: {}\r\n", body.len())?;
    }
    write!(stream, "Connection: close\r\n\r\n{body}")
}
