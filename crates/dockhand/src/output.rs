//! The answer on standard output: text for people or JSON for programs, and nothing else.

mod csv;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use bytesize::ByteSize;
use comfy_table::{ContentArrangement, Table, presets};
use dockhand_oci::MediaType;
use serde::Serialize;

use crate::flags::Form;
use crate::report::{Failure, Kind};

/// Writes answers in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    form: Form,
}

impl Output {
    pub(crate) fn new(form: Form) -> Self {
        Self { form }
    }

    pub(crate) fn is_json(self) -> bool {
        self.form == Form::Json
    }

    pub(crate) fn is_text(self) -> bool {
        self.form == Form::Text
    }

    pub(crate) fn is_csv(self) -> bool {
        self.form == Form::Csv
    }

    /// Prints `value` as JSON or CSV, or what `text` makes of it.
    pub(crate) fn answer<T, F>(self, value: &T, text: F) -> Result<(), Failure>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&mut dyn Write, &T) -> io::Result<()>,
    {
        let mut out = writer();
        match self.form {
            Form::Text => text(&mut out, value)?,
            Form::Json => {
                serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Form::Csv => csv::write(&mut out, value)?,
        }
        Ok(out.flush()?)
    }
}

/// Standard output for text, without colours where they are not wanted.
pub(crate) fn writer() -> impl Write {
    BufWriter::new(anstream::stdout().lock())
}

/// Bytes to standard output exactly as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Bytes to a file, or to standard output where none or `-` is named.
pub(crate) fn bytes_to(file: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    match file {
        Some(file) if file != Path::new("-") => std::fs::write(file, bytes).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.display());
            Failure::plain(Kind::Failed, message)
        }),
        _ => raw(bytes),
    }
}

/// A media type of a manifest for people.
pub(crate) fn kind(media_type: &str) -> String {
    match media_type {
        MediaType::OCI_INDEX | MediaType::DOCKER_LIST => "index".to_owned(),
        MediaType::OCI_MANIFEST | MediaType::DOCKER_MANIFEST => "image".to_owned(),
        other => other.to_owned(),
    }
}

/// A table without lines: readable, and its columns can be cut by other programs.
pub(crate) fn table<R, C>(head: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if !head.is_empty() {
        table.set_header(head.iter().copied());
    }
    for row in rows {
        let cells: Vec<String> = { row.into_iter() }
            .map(|cell| printable(&cell).into_owned())
            .collect();
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Words of others without anything that would steer the terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|letter| match letter {
        control if control.is_control() => control.escape_default().to_string(),
        letter => letter.to_string(),
    });
    Cow::Owned(shown.collect())
}

/// A size for people: `3.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// Some of many names, for a message.
pub(crate) fn some<T: std::fmt::Display>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(ToString::to_string);
    let mut shown: Vec<String> = shown.collect();
    if names.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// How many there are, with the right form of the word.
pub(crate) fn count(number: u64, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\nc"), "a\\u{1b}[31mb\\r\\nc");
        assert_eq!(printable("plain é"), "plain é");
    }

    #[test]
    fn a_table_has_even_columns_and_no_blanks_at_the_end() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["long".to_owned(), String::new()],
        ];
        assert_eq!(table(&["NAME", "N"], rows), "NAME  N\na     1\nlong\n");
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(3_565_158), "3.4 MiB");
        assert_eq!(count(1, "tag"), "1 tag");
        assert_eq!(count(2, "tag"), "2 tags");
    }
}
