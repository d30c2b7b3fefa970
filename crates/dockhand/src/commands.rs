//! The subcommands: a file each.

mod append;
mod artifact;
mod attach;
mod auth;
mod base_check;
mod blob;
mod cat;
mod check;
mod completion;
mod config;
mod connections;
mod cp;
mod diff;
mod digest;
mod discover;
mod du;
mod edit;
mod exists;
mod export;
mod flatten;
mod index;
mod inspect;
mod limits;
mod login;
mod logout;
mod ls;
mod man;
mod manifest;
mod mirror;
mod ping;
mod pull;
mod push;
mod rebase;
mod repos;
mod rm;
mod search;
mod serve;
mod signatures;
mod sync;
mod tag;
mod upload;
mod validate;
mod whoami;

use clap::Subcommand;

use crate::report::Failure;
use crate::session::With;

/// What `dockhand` can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ls(With<ls::Ls>),
    Repos(With<repos::Repos>),
    Search(With<search::Search>),
    Inspect(With<inspect::Inspect>),
    Digest(With<digest::Digest>),
    Manifest(With<manifest::Manifest>),
    Config(With<config::Config>),
    Exists(With<exists::Exists>),
    Cp(With<cp::Cp>),
    Pull(With<pull::Pull>),
    Push(With<push::Push>),
    Sync(With<sync::Sync>),
    Mirror(With<mirror::Mirror>),
    Tag(With<tag::Tag>),
    Rm(With<rm::Rm>),
    Validate(With<validate::Validate>),
    Diff(With<diff::Diff>),
    Du(With<du::Du>),
    BaseCheck(With<base_check::BaseCheck>),
    Cat(With<cat::Cat>),
    Export(With<export::Export>),
    Edit(With<edit::Edit>),
    Append(With<append::Append>),
    Rebase(With<rebase::Rebase>),
    Flatten(With<flatten::Flatten>),
    Index(With<index::Index>),
    Artifact(With<artifact::Artifact>),
    Attach(With<attach::Attach>),
    Discover(With<discover::Discover>),
    Signatures(With<signatures::Signatures>),
    Blob(With<blob::Blob>),
    Upload(With<upload::Upload>),
    Login(With<login::Login>),
    Logout(With<logout::Logout>),
    Auth(With<auth::Auth>),
    Whoami(With<whoami::Whoami>),
    Connections(With<connections::Connections>),
    Ping(With<ping::Ping>),
    Limits(With<limits::Limits>),
    Serve(serve::Serve),
    Check(check::Check),
    Completion(completion::Completion),
    Man(man::ManPages),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.run(),
            Self::Repos(verb) => verb.run(),
            Self::Search(verb) => verb.run(),
            Self::Inspect(verb) => verb.run(),
            Self::Digest(verb) => verb.run(),
            Self::Manifest(verb) => verb.run(),
            Self::Config(verb) => verb.run(),
            Self::Exists(verb) => verb.run(),
            Self::Cp(verb) => verb.run(),
            Self::Pull(verb) => verb.run(),
            Self::Push(verb) => verb.run(),
            Self::Sync(verb) => verb.run(),
            Self::Mirror(verb) => verb.run(),
            Self::Tag(verb) => verb.run(),
            Self::Rm(verb) => verb.run(),
            Self::Validate(verb) => verb.run(),
            Self::Diff(verb) => verb.run(),
            Self::Du(verb) => verb.run(),
            Self::BaseCheck(verb) => verb.run(),
            Self::Cat(verb) => verb.run(),
            Self::Export(verb) => verb.run(),
            Self::Edit(verb) => verb.run(),
            Self::Append(verb) => verb.run(),
            Self::Rebase(verb) => verb.run(),
            Self::Flatten(verb) => verb.run(),
            Self::Index(verb) => verb.run(),
            Self::Artifact(verb) => verb.run(),
            Self::Attach(verb) => verb.run(),
            Self::Discover(verb) => verb.run(),
            Self::Signatures(verb) => verb.run(),
            Self::Blob(verb) => verb.run(),
            Self::Upload(verb) => verb.run(),
            Self::Login(verb) => verb.run(),
            Self::Logout(verb) => verb.run(),
            Self::Auth(verb) => verb.run(),
            Self::Whoami(verb) => verb.run(),
            Self::Connections(verb) => verb.run(),
            Self::Ping(verb) => verb.run(),
            Self::Limits(verb) => verb.run(),
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
            Self::Completion(completion) => completion.run(),
            Self::Man(pages) => pages.run(),
        }
    }
}
