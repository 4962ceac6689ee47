//! Gathers what a workflow needs. Every look-up is by a key, so that the cost follows the size of the workflow.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use serde_json::{Map, Value};

use super::texts::{Text, texts};
use super::{
    FileIndex, FolderLists, ModelNeed, ModelUse, Requirements, UnknownNode, file_name, folder, is_model_file, mentioned,
};
use crate::graph;
use crate::object_info::ObjectInfo;

/// What is found so far, and where.
pub(super) struct Collector<'a> {
    object_info: &'a ObjectInfo,
    folders: &'a FolderLists,
    found: Requirements,
    /// Positions of models by file name. One name has as many as there are folders.
    by_name: HashMap<String, Vec<usize>>,
    /// Positions of node types, and the nodes of each.
    unknown: HashMap<String, (usize, HashSet<String>)>,
    /// What each input of a node type offers.
    inputs: HashMap<(String, String), Offered<'a>>,
    /// Files that a text may mention, by folder and name.
    mentioned: HashMap<&'static str, HashMap<&'a str, &'a str>>,
}

/// What an input offers.
struct Offered<'a> {
    /// It takes a value of a list, or nothing is known of it.
    is_list: bool,
    folder: Option<String>,
    files: Option<FileIndex<'a>>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(object_info: &'a ObjectInfo, folders: &'a FolderLists) -> Self {
        Self {
            object_info,
            folders,
            found: Requirements::default(),
            by_name: HashMap::new(),
            unknown: HashMap::new(),
            inputs: HashMap::new(),
            mentioned: HashMap::new(),
        }
    }

    /// Everything found, held against the lists of the folders.
    pub(super) fn finish(mut self) -> Requirements {
        let mut indexes: HashMap<&str, FileIndex<'_>> = HashMap::new();
        for model in &mut self.found.models {
            let listed = model.folder.as_ref().and_then(|folder| self.folders.get_key_value(folder));
            if let Some((folder, files)) = listed {
                let index = indexes.entry(folder).or_insert_with(|| FileIndex::of(files.iter().map(String::as_str)));
                model.note(index);
            }
        }
        self.found
    }

    pub(super) fn add_unknown(&mut self, node_type: &str, node: String) {
        let unknown = &mut self.found.unknown_nodes;
        let (place, nodes) = self.unknown.entry(node_type.to_owned()).or_insert_with(|| {
            unknown.push(UnknownNode { node_type: node_type.to_owned(), nodes: Vec::new(), package: None });
            (unknown.len() - 1, HashSet::new())
        });
        if nodes.insert(node.clone()) {
            unknown[*place].nodes.push(node);
        }
    }

    /// Takes in where nodes of an unknown type come from; what was said first stands.
    pub(super) fn note_package(&mut self, node_type: &str, package: Option<String>) {
        if let Some((place, _)) = self.unknown.get(node_type) {
            let known = &mut self.found.unknown_nodes[*place].package;
            *known = known.take().or(package);
        }
    }

    pub(super) fn add_inputs(&mut self, id: &str, class_type: &str, node: &Value) {
        let empty = Map::new();
        let known = self.object_info.get(class_type).is_some();
        for (name, value) in node.get("inputs").and_then(Value::as_object).unwrap_or(&empty) {
            let used_by =
                || ModelUse { node: id.to_owned(), node_type: class_type.to_owned(), input: Some(name.clone()) };
            for Text { key, text } in texts(name, value) {
                if is_model_file(text) {
                    self.add_value(class_type, name, key, text, used_by());
                }
                self.add_mentioned(text, &used_by(), known);
            }
        }
    }

    /// A file name that an input holds, in a row under `key` or as its value, where `key` is the name of the input.
    fn add_value(&mut self, class_type: &str, input: &str, key: &str, file: &str, used_by: ModelUse) {
        let offer = (class_type.to_owned(), key.to_owned());
        // It is taken out and put back: the entry of the model is borrowed with everything else.
        let offered = match self.inputs.entry(offer.clone()) {
            Entry::Occupied(known) => known.remove(),
            Entry::Vacant(_) => self.offered(class_type, key),
        };
        if offered.is_list || key != input {
            let known = self.object_info.get(class_type).is_some();
            let model = self.model(offered.folder.clone(), file);
            model.known |= known;
            model.used_by.push(used_by);
            if let Some(files) = &offered.files {
                model.note(files);
            }
        }
        self.inputs.insert(offer, offered);
    }

    /// Of a node of a pack that is not installed the values are known, not what each of them is for.
    pub(super) fn add_values(&mut self, node: &graph::UnknownNode) {
        let used_by = || ModelUse { node: node.id.clone(), node_type: node.class_type.clone(), input: None };
        for Text { key, text } in node.values.iter().flat_map(|value| texts("", value)) {
            if is_model_file(text) {
                let hint = if key.is_empty() { &node.class_type } else { key };
                let folder = folder::by_meaning(hint, &node.outputs).map(str::to_owned);
                self.model(folder, text).used_by.push(used_by());
            }
            self.add_mentioned(text, &used_by(), false);
        }
    }

    fn add_mentioned(&mut self, text: &str, used_by: &ModelUse, known: bool) {
        for (folder, name) in mentioned::files_in(text) {
            let files = self.folders.get(folder).map(Vec::as_slice).unwrap_or_default();
            let stems = self.mentioned.entry(folder).or_insert_with(|| mentioned::by_stem(files));
            let name = match stems.get(file_name(name)) {
                _ if is_model_file(name) => name.to_owned(),
                Some(file) => (*file).to_owned(),
                None => format!("{name}.safetensors"),
            };
            let model = self.model(Some(folder.to_owned()), &name);
            model.known |= known;
            if model.used_by.last() != Some(used_by) {
                model.used_by.push(used_by.clone());
            }
        }
    }

    fn offered(&self, class_type: &str, input: &str) -> Offered<'a> {
        let node_type = self.object_info.get(class_type);
        let spec = node_type.and_then(|node_type| node_type.input(input));
        let files = spec.map(|spec| FileIndex::of(spec.choices.iter().flatten().filter_map(Value::as_str)));
        Offered {
            is_list: spec.is_none_or(|spec| spec.choices.is_some()),
            folder: folder::folder_of(node_type, spec, input, self.folders),
            files,
        }
    }

    /// The entry of a file: the same file name in the same folder, or in one that is not known, is the same file.
    fn model(&mut self, folder: Option<String>, file: &str) -> &mut ModelNeed {
        let name = file.replace('\\', "/");
        let of_name = self.by_name.entry(file_name(&name).to_owned()).or_default();
        let models = &mut self.found.models;
        let same = |place: &&usize| {
            let known = &models[**place].folder;
            *known == folder || known.is_none() || folder.is_none()
        };
        let place = match of_name.iter().find(same) {
            Some(place) => *place,
            None => {
                models.push(ModelNeed { name, ..ModelNeed::default() });
                of_name.push(models.len() - 1);
                models.len() - 1
            }
        };
        let model = &mut models[place];
        model.folder = model.folder.take().or(folder);
        model
    }

    /// The entry of a file that the workflow notes; the folder that it notes counts for more than the one read off an input.
    pub(super) fn noted(&mut self, folder: Option<String>, file: &str) -> &mut ModelNeed {
        let of_name = self.by_name.get(file_name(file)).map_or(&[][..], Vec::as_slice);
        match (of_name, folder) {
            ([only], Some(folder)) => {
                let model = &mut self.found.models[*only];
                model.folder = Some(folder);
                model
            }
            (_, folder) => self.model(folder, file),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As many nodes as a request may hold: no file is compared with another one, and no node with another one.
    #[test]
    fn no_key_of_a_large_workflow_is_shared() {
        const NODES: usize = 60_000;
        let (object_info, folders) = (ObjectInfo::default(), FolderLists::new());
        let mut found = Collector::new(&object_info, &folders);
        for number in 0..NODES {
            let inputs = json!({"inputs": {"vae_name": format!("{number}.safetensors")}});
            found.add_inputs(&number.to_string(), "VAELoader", &inputs);
            found.add_unknown("NodeOfNobody", number.to_string());
            found.add_unknown(&format!("Node{number}"), number.to_string());
            found.note_package(&format!("Node{number}"), Some("pack".to_owned()));
        }
        assert!(found.by_name.len() == NODES && found.by_name.values().all(|places| places.len() == 1));
        assert_eq!((found.unknown.len(), found.inputs.len()), (NODES + 1, 1));
        for number in 0..NODES {
            found.add_unknown("NodeOfNobody", number.to_string());
            found.noted(Some("loras".to_owned()), &format!("{number}.safetensors"));
        }
        let found = found.finish();
        assert_eq!((found.models.len(), found.unknown_nodes[0].nodes.len()), (NODES, NODES));
        assert!(found.models.iter().all(|model| model.folder.as_deref() == Some("loras")));
    }
}
