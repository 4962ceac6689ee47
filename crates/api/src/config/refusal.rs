//! A call that cannot be obeyed, said in one line: which setting, what it was given, what it takes.

use std::collections::HashMap;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Why the program does not start, or what it says instead of starting.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    text: String,
    /// Help or version was asked for: nothing is wrong.
    pub is_answer: bool,
}

impl Refusal {
    /// A refusal in these words.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_answer: false }
    }

    /// What the parser of arguments said, in one line.
    pub(super) fn of(error: &clap::Error, variables: &HashMap<String, String>) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Self { text: error.render().to_string().trim_end().to_owned(), is_answer: true }
            }
            ErrorKind::ValueValidation | ErrorKind::InvalidValue => Self::new(unusable_value(error, variables)),
            _ => Self::new(first_line(error)),
        }
    }
}

/// The environment variable of each flag.
pub(super) fn variables(command: &clap::Command) -> HashMap<String, String> {
    command
        .get_arguments()
        .filter_map(|argument| {
            let flag = format!("--{}", argument.get_long()?);
            Some((flag, argument.get_env()?.to_string_lossy().into_owned()))
        })
        .collect()
}

fn unusable_value(error: &clap::Error, variables: &HashMap<String, String>) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    let flag = argument.split_whitespace().next().unwrap_or_default();
    let name = match variables.get(flag) {
        Some(variable) => format!("{flag} ({variable})"),
        None => argument.clone(),
    };
    let value = text(error, ContextKind::InvalidValue);
    let valid = text(error, ContextKind::ValidValue);
    let takes = match std::error::Error::source(error) {
        Some(reason) => reason.to_string(),
        None => format!("it takes one of {valid}"),
    };
    format!("{name}: {value:?} cannot be used: {takes}")
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

/// The parser's own sentence and its tip, without the usage that follows.
fn first_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let sentence = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    match lines.find(|line| line.starts_with("tip: ")) {
        Some(tip) => format!("{sentence} ({})", tip.trim_start_matches("tip: ")),
        None => format!("{sentence}; `comfyui-dashboard --help` lists what there is"),
    }
}
