//! What the page does to text and numbers on their way into a prompt: comments and `{a|b}` choices, `%Node.value%` in file
//! names, numbers as scripts have them.
//!
//! Pure. Where the page would roll dice the first choice is taken; dates are filled in by `dates`.

use std::collections::HashSet;

use serde_json::{Number, Value};

use super::page::{Kind, NodeAt, Page};

/// Choices within choices deeper than this are left as they are.
const DEEPEST: usize = 32;

/// A prompt text without its comments, every `{a|b|c}` replaced by its first choice.
pub(super) fn first_choices(text: &str) -> String {
    first_choices_at(text, 0)
}

fn first_choices_at(text: &str, depth: usize) -> String {
    if depth > DEEPEST {
        return text.to_owned();
    }
    let chosen = choose(&without_comments(text).chars().collect::<Vec<_>>(), depth);
    unescape(&chosen)
}

/// Whether a text has choices that the page would roll dice for.
pub(super) fn has_choices(text: &str) -> bool {
    let text = without_comments(text);
    text.find('{').is_some_and(|open| text[open..].contains('|'))
}

fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(slash) = rest.find('/') {
        let (before, from) = rest.split_at(slash);
        kept.push_str(before);
        let block = from.strip_prefix("/*").and_then(|inner| inner.find("*/").map(|end| &inner[end + 2..]));
        rest = match block {
            Some(after) => after,
            None if from.starts_with("//") => {
                from.find(['\n', '\r', '\u{2028}', '\u{2029}']).map_or("", |end| &from[end..])
            }
            None => {
                kept.push('/');
                &from[1..]
            }
        };
    }
    kept + rest
}

fn choose(text: &[char], depth: usize) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(&letter) = text.get(at) {
        at += 1;
        match letter {
            '\\' => {
                out.push('\\');
                text.get(at).iter().for_each(|next| out.push(**next));
                at += 1;
            }
            '{' => {
                let (options, next) = options(text, at);
                at = next;
                out.push_str(&first_choices_at(&options.into_iter().next().unwrap_or_default(), depth + 1));
            }
            other => out.push(other),
        }
    }
    out
}

/// The choices from just behind `{` to its `}`, and where the text goes on.
fn options(text: &[char], from: usize) -> (Vec<String>, usize) {
    let (mut options, mut option, mut depth, mut at) = (Vec::new(), String::new(), 0usize, from);
    while let Some(&letter) = text.get(at) {
        at += 1;
        match letter {
            '\\' => {
                option.push('\\');
                text.get(at).iter().for_each(|next| option.push(**next));
                at += 1;
                continue;
            }
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                options.push(std::mem::take(&mut option));
                continue;
            }
            _ => {}
        }
        option.push(letter);
    }
    options.push(option);
    (options, at)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escapes = letter == '\\' && letters.peek().is_some_and(|next| "{}|".contains(*next));
        if !escapes {
            out.push(letter);
        }
    }
    out
}

/// A file name with each `%Node.value%` replaced by that value of that node; what names nothing is left.
pub(super) fn with_values(page: &Page, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('%') {
        let Some(close) = rest[open + 1..].find('%').filter(|length| *length > 0) else {
            out.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        let (pattern, after) = (&rest[open + 1..open + 1 + close], &rest[open + close + 2..]);
        out.push_str(&rest[..open]);
        match named_value(page, pattern) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[open..open + close + 2]),
        }
        rest = after;
    }
    out + rest
}

fn named_value(page: &Page, pattern: &str) -> Option<String> {
    let (name, widget) = pattern.split_once('.').filter(|(_, widget)| !widget.contains('.'))?;
    let mut nodes = Vec::new();
    all_nodes(page, 0, &mut HashSet::new(), &mut nodes);
    let aliased = |at: &&NodeAt| page.node(**at).properties.get("Node name for S&R").is_some_and(|alias| alias == name);
    let titled = |at: &&NodeAt| page.node(**at).title == name;
    let at = nodes.iter().find(aliased).or_else(|| nodes.iter().find(titled))?;
    let value = page.node(*at).widget(widget)?.value.clone().unwrap_or(Value::Null);
    let value = if value.is_null() { String::new() } else { as_script_text(&value) };
    let unfit = |letter: char| r#"/?<>\:*|""#.contains(letter) || letter < ' ' || letter == '\u{7f}';
    Some(value.chars().map(|letter| if unfit(letter) { '_' } else { letter }).collect())
}

/// Every node in the page's order: those inside a subgraph before the node that stands for it. A definition that is used
/// again has the same nodes again, so once is enough.
fn all_nodes(page: &Page, graph: usize, seen: &mut HashSet<usize>, found: &mut Vec<NodeAt>) {
    if !seen.insert(graph) {
        return;
    }
    for (node, inner) in page.graphs[graph].nodes.iter().enumerate() {
        if let Kind::Subgraph(definition) = &inner.kind {
            all_nodes(page, *definition, seen, found);
        }
        found.push(NodeAt { graph, node });
    }
}

/// A value as a script turns it into text.
pub(super) fn as_script_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => as_script_number(number).to_string(),
        Value::Array(items) => items.iter().map(as_script_text).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
        other => other.to_string(),
    }
}

/// A number as a script writes it: whole where it is whole.
pub(super) fn as_json_number(number: f64) -> Value {
    as_script_number(&Number::from_f64(number).unwrap_or_else(|| Number::from(0)))
}

/// A value with all numbers as a script has them after reading and writing JSON: `8.0` is `8`, and whole numbers from
/// 2^53 on keep as many digits as tell them apart, the rest zeros.
pub(super) fn with_script_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => as_script_number(&number),
        Value::Array(items) => items.into_iter().map(with_script_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, field)| (key, with_script_numbers(field))).collect(),
        other => other,
    }
}

fn as_script_number(number: &Number) -> Value {
    let exact = 1_u64 << 53;
    let is_small = number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= exact);
    let Some(float) = number.as_f64().filter(|float| !is_small && float.fract() == 0.0) else {
        return Value::Number(number.clone());
    };
    whole_digits(float).map_or_else(|| Value::Number(number.clone()), Value::Number)
}

/// The shortest digits that stand for a whole number, with zeros behind them.
fn whole_digits(float: f64) -> Option<Number> {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e')?;
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    let length = exponent.parse::<usize>().ok()? + 1;
    let whole = format!("{sign}{digits:0<length$}");
    whole.parse::<i64>().map(Number::from).or_else(|_| whole.parse::<u64>().map(Number::from)).ok()
}
