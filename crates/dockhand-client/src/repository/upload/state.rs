//! How far an upload is, by what the registry says.

use dockhand_oci::Descriptor;
use http::header::RANGE;
use http::{Method, StatusCode};

use super::Upload;
use crate::http::Answer;
use crate::{Error, Result};

/// How often the registry may say that the next bytes belong elsewhere.
const STRAYS_MAX: u32 = 5;

impl Upload {
    /// Asks the registry how many bytes it has. `0-0` is what registries say of none and of one: it is
    /// one when this upload had one before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the registry no longer has the upload.
    pub async fn status(&mut self) -> Result<u64> {
        Ok(self.ask().await?.unwrap_or(0))
    }

    /// As [`Upload::status`]; `None` when the registry does not say.
    pub(super) async fn ask(&mut self) -> Result<Option<u64>> {
        let request = self.request(Method::GET, "ask for the state of an upload");
        let answer = self.client().http.send(&request).await?;
        let told = match Told::of(&answer) {
            Told::Nothing => None,
            Told::Offset(offset) => Some(offset),
            Told::NoneOrOne => Some(self.offset.min(1)),
        };
        self.offset = told.unwrap_or(0);
        self.move_on(&answer)?;
        Ok(told)
    }

    /// The registry wants other bytes than it was sent: goes to those that it wants, or returns the error
    /// when it wants the same.
    pub(super) async fn stray(&mut self, error: Error) -> Result<()> {
        self.strays += 1;
        let before = self.offset;
        if error.status() != Some(StatusCode::RANGE_NOT_SATISFIABLE) || self.strays > STRAYS_MAX {
            return Err(error);
        }
        let request = self.request(Method::GET, "ask for the state of an upload");
        let answer = self.client().http.send(&request).await?;
        self.offset = match Told::of(&answer) {
            Told::Nothing => return Err(error),
            Told::Offset(offset) => offset,
            // It was just refused to begin with the one, so it is the other.
            Told::NoneOrOne => u64::from(before == 0),
        };
        self.move_on(&answer)?;
        match self.offset == before {
            true => Err(error),
            false => Ok(()),
        }
    }

    /// How far the upload is after `answer` to the sending of `length` bytes. Some registries say
    /// nothing, or say the same range again and again.
    pub(super) fn advance(&mut self, answer: &Answer, length: u64) {
        let sent = self.offset.saturating_add(length);
        self.offset = match Told::of(answer) {
            Told::Offset(told) if told > self.offset => told,
            _ => sent,
        };
    }

    /// Whether the registry wanted other bytes than it was sent.
    pub(super) fn has_strayed(&self) -> bool {
        self.strays > 0
    }

    /// Whether the registry says that it has as much of `blob` as there can be.
    pub(super) fn fits(&self, blob: &Descriptor) -> bool {
        self.offset <= blob.size
    }
}

/// What an answer says of the bytes that the registry has.
enum Told {
    Nothing,
    Offset(u64),
    NoneOrOne,
}

impl Told {
    /// `Range: 0-9` is ten bytes.
    fn of(answer: &Answer) -> Self {
        let range = answer.header(RANGE).unwrap_or_default().trim();
        let range = range.strip_prefix("bytes=").unwrap_or(range);
        let Some((_, last)) = range.split_once('-') else {
            return Self::Nothing;
        };
        match last.parse::<u64>() {
            Ok(0) => Self::NoneOrOne,
            Ok(last) => last.checked_add(1).map_or(Self::Nothing, Self::Offset),
            Err(_) => Self::Nothing,
        }
    }
}
