//! The rules of a registry, on any store.
