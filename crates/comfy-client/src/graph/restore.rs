//! Puts the values that were saved with a node into its widgets.
//!
//! Most are saved as a bare list, so most of this is about position: widgets that take no place, values of inputs
//! that are no longer widgets, and combos whose choice brings widgets of their own.

use serde_json::{Map, Value};

use super::document::SavedNode;
use super::layout::Layout;
use super::page::{Lost, Widget, WidgetKind};
use super::page_nodes;
use crate::object_info::InputSpec;

/// Sets the widgets of a node from its saved values; what has none keeps its default. Answers with the values that have no widget.
pub(super) fn restore(layout: &mut Layout, inputs: &[InputSpec], saved: &SavedNode) -> Vec<Lost> {
    let lost = match &saved.values {
        Some(Value::Object(named)) => restore_by_name(layout, named),
        Some(Value::Array(values)) => restore_in_order(layout, inputs, values, &saved.kind),
        _ => Vec::new(),
    };
    layout.widgets.iter_mut().for_each(Widget::never_empty);
    lost
}

fn restore_in_order(layout: &mut Layout, inputs: &[InputSpec], values: &[Value], node_type: &str) -> Vec<Lost> {
    let mut values = without_former_inputs(&layout.widgets, inputs, values);
    let rows = page_nodes::take_rows(node_type, &mut values);
    let (mut place, mut position) = (0, 0);
    while place < layout.widgets.len() {
        if layout.widgets[place].saved {
            if let Some(value) = values.get(position) {
                layout.set(place, value.clone());
            }
            position += 1;
        }
        place += 1;
    }
    layout.widgets.extend(rows.into_iter().map(|(name, row)| Widget::holding(&name, row)));
    let left = values.into_iter().skip(position).filter(|value| !page_nodes::is_void(value));
    left.map(|value| Lost { name: None, value }).collect()
}

/// Page scripts of packs keep values by name.
fn restore_by_name(layout: &mut Layout, named: &Map<String, Value>) -> Vec<Lost> {
    let mut place = 0;
    while let Some(widget) = layout.widgets.get(place) {
        if let Some(value) = named.get(&widget.name) {
            layout.set(place, value.clone());
        }
        let widget = &layout.widgets[place];
        let chosen = widget.value.as_ref().and_then(Value::as_str);
        let brought = match (&widget.spec, chosen) {
            (Some(spec), Some(chosen)) => page_nodes::inputs_of_format(&spec.options, chosen),
            _ => Vec::new(),
        };
        for (name, default) in brought {
            let value = named.get(&name).cloned().or(default);
            if layout.widgets.iter().all(|widget| widget.name != name) {
                layout.widgets.extend(value.map(|value| Widget::holding(&name, value)));
            }
        }
        place += 1;
    }
    let is_taken = |name: &String| layout.widgets.iter().any(|widget| widget.name == *name);
    let left = named.iter().filter(|(name, value)| !is_taken(name) && !page_nodes::is_view(name, value));
    left.map(|(name, value)| Lost { name: Some(name.clone()), value: value.clone() }).collect()
}

impl Layout {
    fn set(&mut self, place: usize, value: Value) {
        self.widgets[place].set(value);
        if self.widgets[place].kind == WidgetKind::DynamicCombo {
            self.show_choice(place);
        }
    }
}

/// Adds the choices that the user wrote for a list of his own: after the chosen one and its index, and one more to write into.
pub(super) fn add_own_choices(layout: &mut Layout, saved: Option<&Value>) {
    let written = saved.and_then(Value::as_array).into_iter().flatten().skip(2);
    let mut choices: Vec<Value> = written.cloned().collect();
    if choices.last().is_none_or(|last| last.as_str().is_none_or(|text| !text.is_empty())) {
        choices.push(Value::from(""));
    }
    layout.widgets.push(Widget { kind: WidgetKind::Index, ..Widget::holding("index", Value::Null) });
    let named =
        choices.into_iter().zip(1..).map(|(choice, number)| Widget::holding(&format!("option{number}"), choice));
    layout.widgets.extend(named);
}

/// Older versions saved a value for inputs that a node type has turned into sockets; those values are dropped, where
/// the count shows that they are there.
fn without_former_inputs(widgets: &[Widget], inputs: &[InputSpec], values: &[Value]) -> Vec<Value> {
    let unchanged = values.to_vec();
    if inputs.iter().any(|spec| spec.kind == "COMFY_DYNAMICGROUP_V3") {
        return unchanged;
    }
    let unsaved = |name: &str| widgets.iter().any(|widget| widget.name == name && !widget.saved);
    let mut forced = Vec::new();
    for spec in inputs {
        let was_value = spec.flag("forceInput") || widgets.iter().any(|widget| widget.name == spec.name);
        if !was_value || unsaved(&spec.name) {
            continue;
        }
        forced.push(spec.flag("forceInput"));
        if spec.flag("control_after_generate") {
            forced.push(false);
        }
    }
    let places = widgets.iter().filter(|widget| widget.saved).count();
    if !forced.contains(&true) && values.len() == places {
        return unchanged;
    }
    let takes_place = |position: usize| widgets.get(position).is_none_or(|widget| widget.saved);
    let compact: Vec<Value> = values
        .iter()
        .enumerate()
        .filter(|(position, _)| takes_place(*position))
        .map(|(_, value)| value.clone())
        .collect();
    let aligned = if compact.len() == forced.len() {
        compact
    } else if values.len() == forced.len() {
        unchanged
    } else {
        return unchanged;
    };
    aligned.into_iter().zip(forced).filter(|(_, forced)| !forced).map(|(value, _)| value).collect()
}

impl Widget {
    /// A widget of no particular kind that holds a value.
    pub(super) fn holding(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), kind: WidgetKind::Plain, value: Some(value), sent: true, saved: true, spec: None }
    }

    /// Takes a value as the page's widget of this kind does.
    pub(super) fn set(&mut self, value: Value) {
        if self.kind == WidgetKind::View {
            return;
        }
        self.value = Some(match (self.kind, value) {
            (WidgetKind::Multiline, text @ Value::String(_)) => text,
            (WidgetKind::Multiline, Value::Null) => Value::String(String::new()),
            (WidgetKind::Multiline, other) => Value::String(super::text::as_script_text(&other)),
            (_, value) => value,
        });
    }

    /// A list of choices never stays without a choice.
    fn never_empty(&mut self) {
        if self.kind != WidgetKind::Combo || self.value.as_ref().is_some_and(|value| !value.is_null()) {
            return;
        }
        let first = self.spec.as_ref().and_then(|spec| spec.choices.as_ref()).and_then(|choices| choices.first());
        if let Some(first) = first {
            self.value = Some(first.clone());
        }
    }

    /// Takes a number that another widget pushes, rounded to this one's step and kept within its bounds.
    pub(super) fn push(&mut self, value: Value) {
        self.set(value);
        let Some(number) = self.value.as_ref().and_then(Value::as_f64) else { return };
        let Some(spec) = &self.spec else { return };
        match self.kind {
            WidgetKind::Integer => self.value = rounded_integer(self.value.take(), number, spec),
            WidgetKind::Float => self.value = rounded_float(self.value.take(), number, spec),
            _ => {}
        }
    }
}

fn rounded_integer(given: Option<Value>, number: f64, spec: &InputSpec) -> Option<Value> {
    let step = spec.number("step").filter(|step| *step != 0.0).unwrap_or(1.0);
    let offset = spec.number("min").unwrap_or(0.0) % step;
    let rounded =
        if step == 1.0 { script_round(number) } else { script_round((number - offset) / step) * step + offset };
    if rounded == number { given } else { Some(super::text::as_json_number(rounded)) }
}

fn rounded_float(given: Option<Value>, number: f64, spec: &InputSpec) -> Option<Value> {
    let step = spec.number("step").unwrap_or(0.5);
    let places = (-step.log10().floor()).max(0.0);
    let round = match spec.number("round").filter(|round| *round != 0.0) {
        Some(round) => round,
        None if places > 0.0 => 10f64.powf(-places),
        None => return given,
    };
    let digits = if places.is_finite() { places as usize } else { 0 };
    let rounded = format!("{:.digits$}", script_round(number / round) * round).parse().unwrap_or(number);
    let within = f64::clamp(
        rounded,
        spec.number("min").unwrap_or(0.0),
        spec.number("max").unwrap_or(2048.0).max(spec.number("min").unwrap_or(0.0)),
    );
    if within == number { given } else { Some(super::text::as_json_number(within)) }
}

/// Scripts round a half up, not away from zero.
fn script_round(number: f64) -> f64 {
    (number + 0.5).floor()
}
