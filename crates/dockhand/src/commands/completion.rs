//! `dockhand completion`: what a shell needs to complete commands and flags.

use clap::Args;
use clap_complete::{Shell, generate};

use crate::report::Failure;

/// Print the completion for a shell
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: dockhand completion bash > /etc/bash_completion.d/dockhand")]
pub(crate) struct Completion {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut crate::usage::command(),
            "dockhand",
            &mut script,
        );
        crate::output::raw(&script)
    }
}
