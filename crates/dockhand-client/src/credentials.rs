//! Credentials as Docker, Podman and others stored them on this machine.

use async_trait::async_trait;
use dockhand_oci::RepoName;

use crate::{Credential, CredentialSource, Result};

/// Every place where this machine keeps credentials for registries, in order.
#[derive(Clone, Debug, Default)]
pub struct Chain {}

#[async_trait]
impl CredentialSource for Chain {
    async fn credential(&self, _: &str, _: Option<&RepoName>) -> Result<Option<Credential>> {
        Ok(None)
    }
}
