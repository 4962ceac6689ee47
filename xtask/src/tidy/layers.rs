//! Rule: arrows between crates point one way, and each outside concern has one owner.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, Package};

use super::{Finding, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "layers",
    reason: "arrows point one way (ARCHITECTURE.md): a crate that knows its caller, or a second owner of HTTP or SQL, cannot be changed alone",
    check: findings,
};

/// Who may depend on whom; `fuzz-targets` is no part of the product. A crate that is not named here depends on none of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &["api-types", "service", "web"]),
    ("fuzz-targets", &["registry", "downloader", "comfy-client", "model-file", "service", "api"]),
    ("service", &["api-types", "registry", "downloader", "comfy-client", "gpu-probe", "model-file"]),
];

/// The crate of fakes: everybody's tests may use it, the product may not.
const TESTS_ONLY: &str = "test-support";

/// Outside crates with owners: nobody else may name them in a manifest.
const OWNERS: &[(&str, &[&str])] = &[
    ("actix-cors", &["api"]),
    ("actix-web", &["api", "test-support"]),
    ("actix-ws", &["api", "test-support"]),
    ("libsqlite3-sys", &["service"]),
    ("nvml-wrapper", &["gpu-probe"]),
    ("reqwest", &["registry", "downloader", "comfy-client", "api"]),
    ("sqlx", &["service"]),
    ("sysinfo", &["service"]),
    ("utoipa", &["api", "api-types"]),
    ("utoipa-actix-web", &["api"]),
    ("utoipa-swagger-ui", &["api"]),
];

fn findings(repository: &Repository) -> Result<Vec<Finding>> {
    let metadata: &Metadata = repository.metadata;
    let members = metadata.workspace_packages();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    Ok(members.iter().flat_map(|member| findings_in(member, &names)).collect())
}

fn findings_in(member: &Package, members: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &member.dependencies {
        let advice = if members.contains(&dependency.name.as_str()) {
            refuse_arrow(&member.name, &dependency.name, dependency.kind)
        } else {
            refuse_outsider(&member.name, &dependency.name)
        };
        findings.extend(advice.map(|advice| Finding::new(format!("{} -> {}", member.name, dependency.name), advice)));
    }
    findings
}

/// Why one crate of ours may not depend on another, if it may not.
fn refuse_arrow(from: &str, to: &str, kind: DependencyKind) -> Option<String> {
    if to == TESTS_ONLY {
        let in_product = kind != DependencyKind::Development && from != "xtask";
        return in_product.then(|| "test-support is for tests: make it a dev-dependency".to_owned());
    }
    let allowed = ARROWS.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, targets)| targets);
    (!allowed.contains(&to)).then(|| format!("this arrow does not exist; `{from}` may use {allowed:?}"))
}

/// Why a crate of ours may not use an outside one, if it may not.
fn refuse_outsider(from: &str, outsider: &str) -> Option<String> {
    let (_, owners) = OWNERS.iter().find(|(name, _)| *name == outsider)?;
    (!owners.contains(&from))
        .then(|| format!("`{outsider}` belongs to {owners:?}; ask one of them through its own types"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down_only() {
        let normal = DependencyKind::Normal;
        assert_eq!(refuse_arrow("api", "service", normal), None);
        assert_eq!(refuse_arrow("service", "downloader", normal), None);
        assert!(refuse_arrow("downloader", "service", normal).is_some());
        assert!(refuse_arrow("downloader", "registry", normal).is_some());
        assert!(refuse_arrow("api", "downloader", normal).is_some());
    }

    #[test]
    fn fakes_stay_in_tests() {
        assert_eq!(refuse_arrow("downloader", "test-support", DependencyKind::Development), None);
        assert!(refuse_arrow("downloader", "test-support", DependencyKind::Normal).is_some());
    }

    #[test]
    fn each_outside_concern_has_its_owner() {
        assert_eq!(refuse_outsider("service", "sqlx"), None);
        assert_eq!(refuse_outsider("service", "serde"), None);
        assert!(refuse_outsider("service", "reqwest").is_some());
        assert!(refuse_outsider("api", "sqlx").is_some());
    }
}
