//! Merges layers while they are read.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use super::cover::{Cover, Sheet, Whiteout};
use super::{ImagePath, Limits};
use crate::layers::{Kind, Member, each_member, too_much};
use crate::{Error, ErrorKind, Result};

/// Takes the files of a merged file system, each once. What a hard link means came before it; a
/// directory may come after what is in it.
pub(crate) trait Sink: Send {
    /// The next file with its content.
    fn put(&mut self, member: &Member, content: &mut dyn Read) -> Result<()>;
}

/// What was read so far, and what it covers.
pub(super) struct Merge {
    limits: Limits,
    entries: u64,
    bytes: u64,
    cover: Cover,
    layer: Layer,
    /// Hard links that show and whose file was not passed on, by the path of that file.
    waiting: HashMap<ImagePath, Vec<Member>>,
}

/// What the layer that is being read has.
#[derive(Default)]
struct Layer {
    sheet: Sheet,
    /// What does not show, directories aside: a link may still mean it.
    hidden: HashSet<ImagePath>,
    /// What shows and may be linked to.
    shown: HashSet<ImagePath>,
    /// The files that the links of this layer mean in the end.
    links: HashMap<ImagePath, ImagePath>,
}

impl Merge {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: 0,
            bytes: 0,
            cover: Cover::default(),
            layer: Layer::default(),
            waiting: HashMap::new(),
        }
    }

    /// Reads the next lower layer.
    pub(super) fn layer(&mut self, plain: &mut dyn Read, sink: &mut dyn Sink) -> Result<()> {
        let limits = self.limits;
        each_member(plain, &limits, |member, content| {
            self.entries += 1;
            if self.entries > limits.entries {
                let message = format!("the layers have more than {} files", limits.entries);
                return Err(too_much(message));
            }
            match Whiteout::of(&member.path) {
                Some(whiteout) => {
                    self.layer.sheet.hides(whiteout);
                    Ok(())
                }
                None => self.member(member, content, sink),
            }
        })
    }

    /// Whether the layer must be read once more, for files that do not show under their own names.
    pub(super) fn wants_again(&self) -> bool {
        self.waiting
            .keys()
            .any(|target| self.layer.hidden.contains(target))
    }

    /// Reads the layer a second time for what [`wants_again`](Self::wants_again).
    pub(super) fn again(&mut self, plain: &mut dyn Read, sink: &mut dyn Sink) -> Result<()> {
        let limits = self.limits;
        each_member(plain, &limits, |member, content| {
            let links = match self.layer.hidden.contains(&member.path) {
                true => self.waiting.remove(&member.path),
                false => None,
            };
            match links {
                Some(links) => self.stand_in(&member, links, content, sink),
                None => Ok(()),
            }
        })
    }

    /// The layer was read; what it has covers what comes.
    pub(super) fn end_layer(&mut self) {
        let layer = std::mem::take(&mut self.layer);
        self.cover.put(layer.sheet);
    }

    /// Nothing more comes.
    pub(super) fn finish(&self) -> Result<()> {
        match self.waiting.iter().next() {
            None => Ok(()),
            Some((target, links)) => {
                let link = links.first().map(|link| link.path.to_string());
                let message = format!(
                    "the hard link {} means {target}, which no layer has",
                    link.unwrap_or_default()
                );
                Err(Error::new(ErrorKind::Protocol, message))
            }
        }
    }

    fn member(
        &mut self,
        mut member: Member,
        content: &mut dyn Read,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let directory = member.is_directory();
        if member.path.is_root() && !directory {
            return Ok(());
        }
        let shows = self.cover.shows(&member.path, directory);
        self.layer.sheet.has(member.path.clone(), directory);
        if let Kind::Hardlink(target) = &member.kind {
            let target = self.layer.links.get(target).unwrap_or(target).clone();
            self.layer.links.insert(member.path.clone(), target.clone());
            if target == member.path || !shows {
                return Ok(());
            }
            if !self.layer.shown.contains(&target) {
                self.waiting.entry(target).or_default().push(member);
                return Ok(());
            }
            member.kind = Kind::Hardlink(target);
            return self.pass(&member, content, sink);
        }
        if directory {
            return match shows {
                true => self.pass(&member, content, sink),
                false => Ok(()),
            };
        }
        if shows {
            self.layer.shown.insert(member.path.clone());
            self.pass(&member, content, sink)?;
            let links = self.waiting.remove(&member.path).unwrap_or_default();
            return self.link_all(&member.path, links, sink);
        }
        match self.waiting.remove(&member.path) {
            // A link of an upper layer, which cannot be, but is.
            Some(links) => self.stand_in(&member, links, content, sink),
            None => {
                self.layer.hidden.insert(member.path);
                Ok(())
            }
        }
    }

    /// Passes a file on by the name of the first of `links`, because its own shows something else.
    fn stand_in(
        &mut self,
        member: &Member,
        mut links: Vec<Member>,
        content: &mut dyn Read,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        let first = links.remove(0).path;
        let named = Member {
            path: first.clone(),
            ..member.clone()
        };
        self.pass(&named, content, sink)?;
        self.link_all(&first, links, sink)
    }

    fn link_all(
        &mut self,
        target: &ImagePath,
        links: Vec<Member>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        for mut link in links {
            link.kind = Kind::Hardlink(target.clone());
            self.pass(&link, &mut std::io::empty(), sink)?;
        }
        Ok(())
    }

    fn pass(&mut self, member: &Member, content: &mut dyn Read, sink: &mut dyn Sink) -> Result<()> {
        self.bytes = self.bytes.saturating_add(member.size);
        if self.bytes > self.limits.bytes {
            let message = format!("the files have more than {} bytes", self.limits.bytes);
            return Err(too_much(message));
        }
        sink.put(member, content)
    }
}
