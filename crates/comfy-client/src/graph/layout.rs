//! Which inputs and values a node of a given type has, in the page's order.
//!
//! Owns the page's own rules: sockets before values, the control widgets behind seeds, the upload button, dynamic combos
//! and inputs that grow. Reads only the node type; values that were saved are put in by `restore`.

use serde_json::{Map, Value, json};

use super::page::{Slot, Widget, WidgetKind};
use crate::object_info::{InputSpec, NodeType, sections};

/// Input types that the page shows as a value to edit, whatever node they are on.
const WIDGET_TYPES: &[&str] = &[
    "INT",
    "FLOAT",
    "BOOLEAN",
    "STRING",
    "MARKDOWN",
    "COMBO",
    "IMAGEUPLOAD",
    "COLOR",
    "IMAGECOMPARE",
    "BOUNDING_BOX",
    "CHART",
    "GALLERIA",
    "PAINTER",
    "COMPOSITOR",
    "TEXTAREA",
    "CURVE",
    "RANGE",
    "VIDEO_EDIT",
    "RESOLUTION_PREVIEW",
    "BOUNDING_BOXES",
    "LIGHT_INFO_PREVIEW",
    "COLORS",
    "COMFY_DYNAMICCOMBO_V3",
    "COMFY_DYNAMICGROUP_V3",
    "COMFY_BRANCH_INPUT_NAMES",
    "COMFY_BRANCH_SELECTOR",
    "CAMERA_INFO_STATE",
    "CAMERA_ANGLE_VIEW",
    "WEBCAM",
    "AUDIO_UI",
    "AUDIOUPLOAD",
    "AUDIO_RECORD",
    "LOAD_3D",
    "LOAD_3D_ADVANCED",
    "PREVIEW_3D",
];

/// Whether the page shows an input as a value to edit.
pub(super) fn is_widget(spec: &InputSpec) -> bool {
    let kind = spec.options.get("widgetType").and_then(Value::as_str).unwrap_or(&spec.kind);
    WIDGET_TYPES.contains(&kind) && !spec.flag("forceInput")
}

/// The inputs and values of a node.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) slots: Vec<Slot>,
    pub(super) widgets: Vec<Widget>,
    /// Names of the groups of inputs that grow as they are linked.
    growing: Vec<String>,
}

impl Layout {
    /// As the page makes a fresh node with those inputs.
    pub(super) fn of(specs: &[InputSpec]) -> Self {
        let mut layout = Self::default();
        specs.iter().for_each(|spec| layout.add_socket(spec));
        specs.iter().for_each(|spec| layout.add_widget(spec));
        layout
    }

    fn add_socket(&mut self, spec: &InputSpec) {
        if is_widget(spec) {
            return;
        }
        match spec.kind.as_str() {
            "COMFY_AUTOGROW_V3" => self.add_growing(spec),
            "COMFY_MATCHTYPE_V3" => {
                let allowed = spec.options.get("template").and_then(|template| template.get("allowed_types"));
                self.push_slot(&spec.name, allowed.and_then(Value::as_str).unwrap_or("*"), None);
            }
            kind => self.push_slot(&spec.name, kind, None),
        }
    }

    fn add_growing(&mut self, spec: &InputSpec) {
        let Some(template) = spec.options.get("template") else { return };
        self.growing.push(format!("{}.", spec.name));
        let of_one = template.get("input").map(|inputs| sections(inputs, "")).unwrap_or_default();
        let names = template.get("names").and_then(Value::as_array);
        let limit = |name: &str, otherwise| template.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
        let most = names.map_or(limit("max", 100), |names| names.len() as u64);
        let prefix = template.get("prefix").and_then(Value::as_str).unwrap_or_default();
        for ordinal in 0..most.min((limit("min", 1) + 1).max(1)) {
            for inner in &of_one {
                let own =
                    match names.and_then(|names| names.get(usize::try_from(ordinal).ok()?)).and_then(Value::as_str) {
                        Some(name) => name.to_owned(),
                        None if of_one.len() == 1 => format!("{prefix}{ordinal}"),
                        None => format!("{}{ordinal}", inner.name),
                    };
                let grown = InputSpec { name: format!("{}.{own}", spec.name), ..inner.clone() };
                self.add_socket(&grown);
                self.add_widget(&grown);
            }
        }
    }

    fn add_widget(&mut self, spec: &InputSpec) {
        if !is_widget(spec) {
            return;
        }
        let at = self.widgets.len();
        let widget = widget_for(spec);
        let socketless = matches!(spec.kind.as_str(), "COMFY_BRANCH_INPUT_NAMES" | "COMFY_DYNAMICGROUP_V3");
        let dynamic = widget.kind == WidgetKind::DynamicCombo;
        self.widgets.push(widget);
        self.widgets.extend(refresh_widgets(spec));
        self.widgets.extend(controls_for(spec));
        if !socketless {
            self.push_slot(&spec.name, &spec.kind, Some(&spec.name));
        }
        if dynamic {
            self.show_choice(at);
        }
    }

    /// Adds an input that was saved with the node and that its type does not name: grown, or made by a script.
    pub(super) fn add_saved(&mut self, slot: Slot) {
        if self.slots.iter().any(|known| known.name == slot.name) {
            return;
        }
        let group = self.growing.iter().find(|group| slot.name.starts_with(group.as_str()));
        if let Some(group) = group {
            let last = self.slots.iter().rposition(|known| known.name.starts_with(group.as_str()));
            self.slots.insert(last.map_or(self.slots.len(), |last| last + 1), slot);
            return;
        }
        let combos = self.widgets.iter().filter(|widget| widget.kind == WidgetKind::DynamicCombo);
        let left_over = combos.map(|combo| format!("{}.", combo.name)).any(|group| slot.name.starts_with(&group));
        if !left_over {
            self.slots.push(slot);
        }
    }

    fn push_slot(&mut self, name: &str, kind: &str, widget: Option<&str>) {
        let slot =
            Slot { name: name.to_owned(), kind: kind.to_owned(), widget: widget.map(str::to_owned), ..Slot::default() };
        self.slots.push(slot);
    }

    /// Gives the dynamic combo at that place the inputs that its present value asks for, and takes away the others.
    pub(super) fn show_choice(&mut self, combo: usize) {
        let Some(spec) = self.widgets[combo].spec.clone() else { return };
        let group = format!("{}.", spec.name);
        self.widgets.retain(|widget| !widget.name.starts_with(&group));
        let mut kept = std::mem::take(&mut self.slots);
        let dropped: Vec<Slot> = kept.extract_if(.., |slot| slot.name.starts_with(&group)).collect();
        self.slots = kept;
        let chosen = self.widgets[combo].value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let mut added = Layout::default();
        for inner in chosen.map(|key| spec.inputs_of_choice(&key)).unwrap_or_default() {
            added.add_socket(&inner);
            added.add_widget(&inner);
        }
        for slot in &mut added.slots {
            slot.link = dropped.iter().find(|old| old.name == slot.name).and_then(|old| old.link);
        }
        let socket =
            self.slots.iter().position(|slot| slot.name == spec.name).map_or(self.slots.len(), |place| place + 1);
        self.growing.retain(|name| !name.starts_with(&group));
        self.growing.extend(added.growing);
        self.slots.splice(socket..socket, added.slots);
        self.widgets.splice(combo + 1..combo + 1, added.widgets);
    }
}

/// The inputs of a node type as the page lays them out: it adds a button where files can be added to a
/// list of media, and a view of a mesh where one is shown or saved.
pub(super) fn inputs_of(node_type: &NodeType) -> Vec<InputSpec> {
    let inputs = &node_type.inputs;
    let mut all = inputs.clone();
    let uploads = |spec: &&InputSpec| {
        let media = ["image_upload", "video_upload", "animated_image_upload"];
        !spec.optional
            && spec.choices.is_some()
            && media.iter().any(|flag| spec.options.get(*flag) == Some(&Value::Bool(true)))
    };
    let sound =
        |spec: &&InputSpec| spec.name == "audio" && spec.options.get("audio_upload") == Some(&Value::Bool(true));
    let button = if inputs.iter().any(|spec| uploads(&spec)) {
        Some("IMAGEUPLOAD")
    } else {
        inputs.iter().any(|spec| sound(&spec)).then_some("AUDIOUPLOAD")
    };
    all.extend(button.map(|kind| added_by_page("upload", kind)));
    let required = || inputs.iter().filter(|spec| !spec.optional).map(|spec| spec.name.as_str());
    let shows_mesh =
        node_type.output_node && (required().eq(["model_file"]) || required().eq(["mesh", "filename_prefix"]));
    all.extend(shows_mesh.then(|| added_by_page("image", "PREVIEW_3D")));
    all
}

fn added_by_page(name: &str, kind: &str) -> InputSpec {
    let (name, kind) = (name.to_owned(), kind.to_owned());
    InputSpec { name, kind, choices: None, options: Map::new(), optional: false }
}

/// One widget with the value that a fresh node has.
pub(super) fn widget_for(spec: &InputSpec) -> Widget {
    let default = spec.options.get("default").filter(|value| !value.is_null()).cloned();
    let or = |otherwise: Value| Some(default.clone().unwrap_or(otherwise));
    let (kind, value) = match spec.kind.as_str() {
        "INT" => (WidgetKind::Integer, or(json!(0))),
        "FLOAT" => (WidgetKind::Float, or(json!(0))),
        "BOOLEAN" => (WidgetKind::Plain, or(json!(false))),
        "STRING" if spec.flag("multiline") => (WidgetKind::Multiline, or(json!(""))),
        "MARKDOWN" => (WidgetKind::Multiline, or(json!(""))),
        "STRING" | "TEXTAREA" => (WidgetKind::Plain, or(json!(""))),
        "COMBO" if spec.flag("multi_select") => (WidgetKind::Plain, Some(json!([]))),
        "COMBO" => (WidgetKind::Combo, first_choice(spec)),
        "COMFY_DYNAMICCOMBO_V3" => (WidgetKind::DynamicCombo, spec.choice_keys().first().map(|key| json!(key))),
        "COLOR" => (WidgetKind::Plain, or(json!("#000000"))),
        "CURVE" => (WidgetKind::Curve, or(json!({"points": [[0, 0], [1, 1]], "interpolation": "monotone_cubic"}))),
        "RANGE" => (WidgetKind::Plain, or(json!({"min": 0.0, "max": 1.0}))),
        "BOUNDING_BOX" => (WidgetKind::Plain, or(json!({"x": 0, "y": 0, "width": 512, "height": 512}))),
        "COLORS" | "GALLERIA" => (WidgetKind::Plain, or(json!([]))),
        "IMAGECOMPARE" => (WidgetKind::Plain, Some(json!(["", ""]))),
        "PREVIEW_3D" | "LOAD_3D" | "LOAD_3D_ADVANCED" => (WidgetKind::View, Some(json!(""))),
        _ => (WidgetKind::Plain, or(json!(""))),
    };
    let shown_only = matches!(spec.kind.as_str(), "IMAGEUPLOAD" | "AUDIOUPLOAD" | "RESOLUTION_PREVIEW" | "AUDIO_UI");
    let saved = !matches!(spec.kind.as_str(), "RESOLUTION_PREVIEW" | "AUDIO_UI" | "IMAGECOMPARE");
    Widget { name: spec.name.clone(), kind, value, sent: !shown_only, saved, spec: Some(spec.clone()) }
}

/// A list that is fetched from elsewhere has a switch to fetch it after each run, and perhaps a button to fetch it now,
/// which the page sends too.
fn refresh_widgets(spec: &InputSpec) -> Vec<Widget> {
    let Some(remote) = spec.options.get("remote").filter(|_| spec.kind == "COMBO" && spec.flag("remote")) else {
        return Vec::new();
    };
    let mut widgets = vec![Widget { sent: false, ..Widget::holding("Auto-refresh after generation", json!(false)) }];
    let button = remote.get("refresh_button") == Some(&Value::Bool(true));
    widgets.extend(button.then(|| Widget::holding("refresh", json!("refresh"))));
    widgets
}

fn first_choice(spec: &InputSpec) -> Option<Value> {
    if spec.flag("default") {
        return spec.options.get("default").cloned();
    }
    let first = spec.choices.as_ref().and_then(|choices| choices.first()).cloned();
    first.or_else(|| spec.flag("remote").then(|| json!("Loading...")))
}

/// What the page puts behind a value that changes by itself after each run, and the parts of a box.
fn controls_for(spec: &InputSpec) -> Vec<Widget> {
    let controlled = match (spec.kind.as_str(), spec.options.get("control_after_generate")) {
        ("INT", None | Some(Value::Null)) => matches!(spec.name.as_str(), "seed" | "noise_seed"),
        ("INT" | "FLOAT" | "COMBO", _) => spec.flag("control_after_generate"),
        _ => false,
    };
    let names: &[&str] = match spec.kind.as_str() {
        "COMBO" if controlled => &["control_after_generate", "control_filter_list"],
        "BOUNDING_BOX" => &["x", "y", "width", "height"],
        _ if controlled => &["control_after_generate"],
        _ => &[],
    };
    let unsent = |name: &&str| Widget {
        name: (*name).to_owned(),
        kind: WidgetKind::Control,
        value: None,
        sent: false,
        saved: true,
        spec: None,
    };
    names.iter().map(unsent).collect()
}
