//! The types of inputs and outputs, and which fit.

/// Whether an output of one type fits an input of another: `*` fits all, several types are joined by commas, case is ignored.
pub(crate) fn types_fit(one: &str, other: &str) -> bool {
    let anything = |kind: &str| kind.is_empty() || kind == "*" || kind == "0";
    if anything(one) || anything(other) || one == other {
        return true;
    }
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    one.split(',').any(|one| other.split(',').any(|other| anything(one) || anything(other) || one == other))
}
