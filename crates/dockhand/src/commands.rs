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
mod foreign;
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

use crate::flags::Flags;
use crate::report::Failure;
use crate::session::drive;

/// What `dockhand` can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ls(ls::Ls),
    Repos(repos::Repos),
    Search(search::Search),
    Inspect(foreign::Inspect),
    Digest(digest::Digest),
    Manifest(manifest::Manifest),
    Config(config::Config),
    Exists(exists::Exists),
    Cp(cp::Cp),
    Pull(pull::Pull),
    Push(push::Push),
    Sync(sync::Sync),
    Mirror(mirror::Mirror),
    Tag(tag::Tag),
    Rm(rm::Rm),
    Validate(validate::Validate),
    Diff(diff::Diff),
    Du(du::Du),
    BaseCheck(base_check::BaseCheck),
    Cat(cat::Cat),
    Export(export::Export),
    Edit(edit::Edit),
    Append(append::Append),
    Rebase(rebase::Rebase),
    Flatten(flatten::Flatten),
    Index(index::Index),
    Artifact(artifact::Artifact),
    Attach(attach::Attach),
    Discover(discover::Discover),
    Signatures(signatures::Signatures),
    Blob(blob::Blob),
    Upload(upload::Upload),
    Login(login::Login),
    Logout(logout::Logout),
    Auth(auth::Auth),
    Whoami(whoami::Whoami),
    Connections(connections::Connections),
    Ping(ping::Ping),
    Limits(limits::Limits),
    Serve(serve::Serve),
    Check(check::Check),
    Completion(completion::Completion),
    Man(man::ManPages),
    #[command(hide = true)]
    Image(foreign::Image),
    #[command(hide = true)]
    Repo(foreign::Repo),
    /// The flags of every command that talks to a registry
    #[command(hide = true)]
    Flags,
    /// Print the version
    #[command(hide = true)]
    Version,
}

impl Command {
    pub(crate) fn run(self, flags: Flags) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => drive(flags, verb),
            Self::Repos(verb) => drive(flags, verb),
            Self::Search(verb) => drive(flags, verb),
            Self::Inspect(verb) => drive(flags, verb),
            Self::Digest(verb) => drive(flags, verb),
            Self::Manifest(verb) => drive(flags, verb),
            Self::Config(verb) => drive(flags, verb),
            Self::Exists(verb) => drive(flags, verb),
            Self::Cp(verb) => drive(flags, verb),
            Self::Pull(verb) => drive(flags, verb),
            Self::Push(verb) => drive(flags, verb),
            Self::Sync(verb) => drive(flags, verb),
            Self::Mirror(verb) => drive(flags, verb),
            Self::Tag(verb) => drive(flags, verb),
            Self::Rm(verb) => drive(flags, verb),
            Self::Validate(verb) => drive(flags, verb),
            Self::Diff(verb) => drive(flags, verb),
            Self::Du(verb) => drive(flags, verb),
            Self::BaseCheck(verb) => drive(flags, verb),
            Self::Cat(verb) => drive(flags, verb),
            Self::Export(verb) => drive(flags, verb),
            Self::Edit(verb) => drive(flags, verb),
            Self::Append(verb) => drive(flags, verb),
            Self::Rebase(verb) => drive(flags, verb),
            Self::Flatten(verb) => drive(flags, verb),
            Self::Index(verb) => drive(flags, verb),
            Self::Artifact(verb) => drive(flags, verb),
            Self::Attach(verb) => drive(flags, verb),
            Self::Discover(verb) => drive(flags, verb),
            Self::Signatures(verb) => drive(flags, verb),
            Self::Blob(verb) => drive(flags, verb),
            Self::Upload(verb) => drive(flags, verb),
            Self::Login(verb) => drive(flags, verb),
            Self::Logout(verb) => drive(flags, verb),
            Self::Auth(verb) => drive(flags, verb),
            Self::Whoami(verb) => drive(flags, verb),
            Self::Connections(verb) => drive(flags, verb),
            Self::Ping(verb) => drive(flags, verb),
            Self::Limits(verb) => drive(flags, verb),
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
            Self::Completion(completion) => completion.run(),
            Self::Man(pages) => pages.run(),
            Self::Image(verb) => drive(flags, verb),
            Self::Repo(verb) => drive(flags, verb),
            Self::Flags => crate::help::print_flags(),
            Self::Version => crate::help::print_version(),
        }
    }
}
