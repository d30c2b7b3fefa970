//! The words of OCI registries.
