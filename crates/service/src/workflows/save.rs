//! Keeping, changing and removing the user's workflows. Whoever changes one may say which state of it they have read.

use serde_json::{Map, Value};

use super::{
    LARGEST_WORKFLOW, NewWorkflow, UserFile, WorkflowChange, WorkflowSaved, Workflows,
    folder::{About, path_of},
    id::FileName,
    unknown,
};
use crate::{Error, tasks::blocking};

const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 10_000;

impl Workflows {
    /// Keeps a new workflow.
    pub async fn save(&self, new: NewWorkflow) -> Result<WorkflowSaved, Error> {
        let about = checked(About { name: Some(new.name), category: new.category, description: new.description })?;
        let (folder, name) = (self.folder.clone(), FileName::new());
        let graph = blocking(move || bytes_of(&new.workflow)).await??;
        let _writing = self.writing.lock().await;
        let file = blocking(move || folder.write(&name, &about, &graph)).await??;
        Ok(saved(&file))
    }

    /// Changes what is given and leaves the rest. `expected` are the tags of the states that
    /// the caller means, if it minds.
    pub async fn update(
        &self,
        id: &str,
        change: WorkflowChange,
        expected: Option<&[String]>,
    ) -> Result<WorkflowSaved, Error> {
        let name = self.own(id)?;
        let workflow = change.workflow;
        let graph = blocking(move || workflow.as_ref().map(bytes_of).transpose()).await??;
        let _writing = self.writing.lock().await;
        let before = self.expected_state(id, &name, expected).await?;
        let about = checked(About {
            name: change.name.or(before.about.name),
            category: change.category.or(before.about.category),
            description: change.description.or(before.about.description),
        })?;
        let (folder, graph) = (self.folder.clone(), graph.unwrap_or(before.graph));
        let file = blocking(move || folder.write(&name, &about, &graph)).await??;
        Ok(saved(&file))
    }

    /// Removes a workflow. `expected` as for a change.
    pub async fn delete(&self, id: &str, expected: Option<&[String]>) -> Result<(), Error> {
        let name = self.own(id)?;
        let _writing = self.writing.lock().await;
        let folder = self.folder.clone();
        if expected.is_some() {
            self.expected_state(id, &name, expected).await?;
        }
        let unknown = unknown(id);
        // A file that is too large to be read can still be removed.
        blocking(move || if folder.holds(&name) { folder.remove(&name) } else { Err(unknown) }).await?
    }

    async fn expected_state(&self, id: &str, name: &FileName, expected: Option<&[String]>) -> Result<UserFile, Error> {
        let (folder, wanted) = (self.folder.clone(), name.clone());
        let file = blocking(move || folder.read(&wanted)).await??.ok_or_else(|| unknown(id))?;
        let etag = file.etag();
        match expected {
            Some(expected) if !expected.contains(&etag) => Err(Error::ChangedMeanwhile { etag }),
            _ => Ok(file),
        }
    }
}

fn saved(file: &UserFile) -> WorkflowSaved {
    WorkflowSaved { id: file.name.id(), path: path_of(&file.name), etag: file.etag() }
}

fn bytes_of(graph: &Map<String, Value>) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::to_vec(graph).map_err(Error::internal)?;
    if bytes.len() as u64 > LARGEST_WORKFLOW {
        return Err(Error::TooLarge { what: "The workflow", limit_bytes: Some(LARGEST_WORKFLOW) });
    }
    Ok(bytes)
}

fn checked(about: About) -> Result<About, Error> {
    let limits = [
        ("name", &about.name, LONGEST_NAME),
        ("category", &about.category, LONGEST_NAME),
        ("description", &about.description, LONGEST_DESCRIPTION),
    ];
    for (field, text, limit) in limits {
        let length = text.as_deref().map_or(0, |text| text.chars().count());
        if length > limit {
            return Err(Error::invalid(field, format!("it has {length} characters, and {limit} are taken")));
        }
    }
    for (field, text) in [("name", &about.name), ("category", &about.category)] {
        if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::invalid(field, "it must not be empty"));
        }
    }
    Ok(about)
}
