//! Which image serves a platform, as containerd decides it.
//!
//! Names are normalized first, then an image is looked for in an order of preference: an arm64 machine runs
//! images for arm, an amd64 machine images for 386, and each processor images for older variants of it.
//! <https://pkg.go.dev/github.com/containerd/platforms>

use std::cmp::Reverse;

use super::Platform;

/// The oldest variant of arm that anything is built for.
const ARM_OLDEST: u32 = 5;
/// The variant of arm that an arm64 processor runs first.
const ARM_OF_ARM64: u32 = 8;

impl Platform {
    /// Whether an image of this platform is one for `wanted` itself, not for one that `wanted` can fall
    /// back to.
    ///
    /// What `wanted` leaves out matches anything, but `arm` alone is `arm/v7`, `arm64` is `arm64/v8` and
    /// `amd64` is `amd64/v1`. A version of the system matches by its first three parts, which are the build of
    /// Windows.
    #[must_use]
    pub fn matches(&self, wanted: &Self) -> bool {
        let (own, wanted) = (self.normalized(), wanted.normalized());
        own.is_for(&wanted)
    }

    /// How well an image of this platform serves `wanted`: 0 is best, and nothing means that it does not run
    /// there.
    #[must_use]
    pub fn rank(&self, wanted: &Self) -> Option<usize> {
        let own = self.normalized();
        let mut order = wanted.normalized().order_of_preference().into_iter();
        order.position(|acceptable| own.is_for(&acceptable))
    }

    /// The best of these for `wanted`. Of two that serve it equally well, the one with the newer version of
    /// the system; of equal ones, the first.
    #[must_use]
    pub fn best<'a, T>(
        wanted: &Self,
        candidates: impl IntoIterator<Item = (&'a Self, T)>,
    ) -> Option<T> {
        let ranked = candidates.into_iter().filter_map(|(platform, candidate)| {
            let key = (
                platform.rank(wanted)?,
                Reverse(platform.version_parts()),
                platform.os_features.len(),
                platform.to_string(),
            );
            Some((key, candidate))
        });
        let best = ranked.min_by(|(one, _), (other, _)| one.cmp(other));
        best.map(|(_, candidate)| candidate)
    }

    /// The platform with the names that Go and containerd use: `x86_64` is `amd64`, `aarch64` is `arm64`,
    /// `armhf` is `arm/v7`, `arm` alone is `arm/v7`, `arm64/v8` is `arm64`, `amd64/v1` is `amd64`, `macos` is
    /// `darwin`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = self.variant.as_deref().unwrap_or_default();
        let variant = variant.to_ascii_lowercase();
        let architecture = self.architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386" | "i486" | "i586" | "i686" | "x86", _) => ("386", ""),
            ("amd64" | "x86_64" | "x86-64", "v1" | "1") => ("amd64", ""),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("arm64" | "aarch64", "v8" | "8" | "v8.0" | "8.0") => ("arm64", ""),
            ("arm64" | "aarch64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            same => same,
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: (!variant.is_empty()).then(|| variant.to_owned()),
            ..self.clone()
        }
    }

    /// Both are normalized.
    fn is_for(&self, wanted: &Self) -> bool {
        // Of these, a missing variant is a variant of its own.
        let has_default = matches!(wanted.architecture.as_str(), "amd64" | "arm64" | "arm");
        let variant = match &wanted.variant {
            None if !has_default => true,
            variant => self.variant == *variant,
        };
        (wanted.os.is_empty() || self.os == wanted.os)
            && (wanted.architecture.is_empty() || self.architecture == wanted.architecture)
            && variant
            && self.has_build_of(wanted)
            && (wanted.os_features.iter()).all(|feature| self.os_features.contains(feature))
    }

    /// Whether the version of the system is of the build that is wanted. One that gives none runs anywhere.
    fn has_build_of(&self, wanted: &Self) -> bool {
        let (Some(own), Some(wanted)) = (&self.os_version, &wanted.os_version) else {
            return true;
        };
        let own = own.split('.').take(3);
        let wanted: Vec<_> = wanted.split('.').take(3).collect();
        own.take(wanted.len()).eq(wanted.iter().copied())
    }

    /// The version of the system as numbers; empty when there is none.
    fn version_parts(&self) -> Vec<u64> {
        let version = self.os_version.as_deref().unwrap_or_default();
        version
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    }

    /// This platform and those that it can run too, the best first. It is normalized.
    fn order_of_preference(self) -> Vec<Self> {
        let number = |variant: &str| variant.trim_start_matches('v').parse::<u32>().ok();
        let variant = self.variant.as_deref().and_then(number);
        let other = |architecture: &str, variant: Option<u32>| Self {
            architecture: architecture.to_owned(),
            variant: variant.map(|number| format!("v{number}")),
            ..self.clone()
        };
        let older_arm = |newest: u32| (ARM_OLDEST..=newest).rev().map(Some);
        let mut order = match self.architecture.as_str() {
            "amd64" => {
                let older = (2..variant.unwrap_or(1)).rev();
                let mut order: Vec<_> = older.map(|older| other("amd64", Some(older))).collect();
                order.extend(variant.is_some().then(|| other("amd64", None)));
                order.push(other("386", None));
                order
            }
            "arm" => older_arm(variant.unwrap_or(ARM_OLDEST).saturating_sub(1))
                .map(|older| other("arm", older))
                .collect(),
            "arm64" => {
                let mut order = Vec::new();
                order.extend(variant.is_some().then(|| other("arm64", None)));
                order.extend(older_arm(ARM_OF_ARM64).map(|older| other("arm", older)));
                order
            }
            _ => Vec::new(),
        };
        order.insert(0, self);
        order
    }
}
