//! Who may do what: every operation of the document and the role that it needs, in one table; and which operation a request
//! is. An operation that is missing from the table is for admins only, and a test refuses it.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::Method;
use utoipa::openapi::{OpenApi, path::PathItem};

/// How far a caller's credentials reach. A higher role includes the lower ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing is needed.
    Open,
    /// To look.
    Read,
    /// To install, pause, resume and cancel.
    Operate,
    /// To delete what was installed, and to say who may do what.
    #[default]
    Admin,
}

/// The operation that gives a browser its session.
pub(crate) const LOG_IN: &str = "log_in";

/// The parameter that is the path of a file, in addresses of the document.
const REST_OF_PATH: &str = "{path}";

/// What answers whether the server is well: it costs no limit.
pub(crate) const HEALTH: [&str; 4] = ["health", "api_health", "livez", "readyz"];

/// Every operation and the role that it needs.
pub const ROLES: &[(&str, Role)] = &[
    ("health", Role::Open),
    ("api_health", Role::Open),
    ("livez", Role::Open),
    ("readyz", Role::Open),
    (LOG_IN, Role::Open),
    ("log_out", Role::Read),
    ("me", Role::Open),
    ("list_keys", Role::Admin),
    ("generate_key", Role::Admin),
    ("revoke_key", Role::Admin),
    ("revoke_named_key", Role::Admin),
    ("list_sessions", Role::Admin),
    ("revoke_session", Role::Admin),
    ("revoke_all_sessions", Role::Admin),
    ("get_settings", Role::Admin),
    ("change_settings", Role::Admin),
    ("set_token", Role::Admin),
    ("clear_token", Role::Admin),
    ("list_audit", Role::Admin),
    ("metrics", Role::Read),
    ("openapi", Role::Read),
    ("open_socket", Role::Read),
    ("open_api_socket", Role::Read),
    ("list_presets", Role::Read),
    ("preset_detail", Role::Read),
    ("preset_status", Role::Read),
    ("install_preset", Role::Operate),
    ("uninstall_preset", Role::Admin),
    ("list_downloads", Role::Read),
    ("get_download", Role::Read),
    ("download_history", Role::Read),
    ("clear_download_history", Role::Admin),
    ("add_download", Role::Operate),
    ("change_download", Role::Operate),
    ("pause_download", Role::Operate),
    ("resume_download", Role::Operate),
    ("cancel_download", Role::Operate),
    ("list_models", Role::Read),
    ("list_model_types", Role::Read),
    ("rescan_models", Role::Operate),
    ("repair_models", Role::Operate),
    ("delete_models", Role::Admin),
    ("validate_models", Role::Read),
    ("model_detail", Role::Read),
    ("list_jobs", Role::Read),
    ("get_job", Role::Read),
    ("cancel_job", Role::Operate),
    ("recommendations", Role::Read),
    ("updates", Role::Read),
    ("sync_registry", Role::Operate),
    ("sync_registry_by_get", Role::Operate),
    ("registry_status", Role::Read),
    ("system_status", Role::Read),
    ("storage", Role::Read),
    ("resources", Role::Read),
    ("logs", Role::Read),
    ("comfyui_health", Role::Read),
    ("execute", Role::Operate),
    ("interrupt", Role::Operate),
    ("free", Role::Operate),
    ("queue", Role::Read),
    ("clear_queue", Role::Operate),
    ("pause_queue", Role::Operate),
    ("resume_queue", Role::Operate),
    ("change_prompt", Role::Operate),
    ("cancel_prompt", Role::Operate),
    ("list_prompts", Role::Read),
    ("prompt_history", Role::Read),
    ("clear_prompt_history", Role::Admin),
    ("list_workflows", Role::Read),
    ("get_workflow", Role::Read),
    ("save_workflow", Role::Operate),
    ("update_workflow", Role::Operate),
    ("delete_workflow", Role::Operate),
    ("convert_workflow", Role::Read),
    ("graph_requirements", Role::Read),
    ("workflow_requirements", Role::Read),
    ("install_requirements", Role::Operate),
    ("install_workflow", Role::Operate),
    ("list_outputs", Role::Read),
    ("view_output", Role::Read),
    ("delete_outputs", Role::Admin),
    ("upload_input", Role::Operate),
];

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "none",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl Role {
    /// Which files of the models folder somebody of this role may have replaced.
    pub fn may_replace(self) -> service::MayReplace {
        if self == Self::Admin { service::MayReplace::Any } else { service::MayReplace::OwnOrDamaged }
    }
}

impl From<service::access::Role> for Role {
    fn from(role: service::access::Role) -> Self {
        match role {
            service::access::Role::Read => Self::Read,
            service::access::Role::Operate => Self::Operate,
            service::access::Role::Admin => Self::Admin,
        }
    }
}

/// The role that an operation needs. One that nobody thought of is for admins.
pub(crate) fn role_of(operation: &str) -> Role {
    ROLES.iter().find(|(name, _)| *name == operation).map_or(Role::Admin, |(_, role)| *role)
}

/// Whether an operation leaves something changed. The only `GET` that does needs the role to operate: reading never does.
pub(crate) fn changes_something(method: &Method, needs: Role) -> bool {
    let is_reading = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !is_reading || (*method == Method::GET && needs == Role::Operate)
}

/// An operation of the document.
#[derive(Debug)]
pub struct Operation {
    /// Its address as the document has it.
    address: String,
    method: Method,
    /// Its `operationId`.
    pub id: Arc<str>,
    /// The role that it needs.
    pub role: Role,
}

/// Every operation, found by method and address.
#[derive(Debug)]
pub struct Operations {
    all: Vec<Operation>,
    /// Places of those whose address has no parameter, by that address.
    own: HashMap<String, Vec<usize>>,
    /// Places of the others.
    others: Vec<usize>,
}

impl Operations {
    /// The operations of the document.
    pub fn of(document: &OpenApi) -> Self {
        let all: Vec<Operation> = document.paths.paths.iter().flat_map(|(path, item)| of_path(path, item)).collect();
        let (mut own, mut others) = (HashMap::<String, Vec<usize>>::new(), Vec::new());
        for (place, operation) in all.iter().enumerate() {
            match operation.own_address() {
                Some(address) => own.entry(address.to_owned()).or_default().push(place),
                None => others.push(place),
            }
        }
        Self { all, own, others }
    }

    /// The operation of a request. `HEAD` is `GET` without its body.
    pub fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<&'a Operation> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.at(path).find(|operation| operation.method == method)
    }

    /// The methods of an address; none where there is no such address.
    pub fn methods(&self, path: &str) -> Vec<Method> {
        self.at(path).map(|operation| operation.method.clone()).collect()
    }

    /// The operations of an address. An address of its own is no value of a parameter: `/api/presets/updates` is no preset.
    fn at<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Operation> {
        let own = self.own.get(path);
        let others = self.others.iter().filter(move |_| own.is_none()).map(|place| &self.all[*place]);
        let others = others.filter(move |operation| operation.is_at(path));
        own.into_iter().flatten().map(|place| &self.all[*place]).chain(others)
    }

    /// Every operation.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.all.iter()
    }
}

impl Operation {
    /// Its address, where that has no parameter.
    fn own_address(&self) -> Option<&str> {
        (!self.address.contains('{')).then_some(self.address.as_str())
    }

    /// Whether a path is an address of it. A parameter is one part that is not empty, the path of a file all that follows: the document
    /// cannot say that, the router can. No pattern of a regular expression: workers would wait for each other's turn at it.
    fn is_at(&self, path: &str) -> bool {
        let mut rest = Some(path);
        for part in self.address.split('/') {
            let Some(left) = rest else { return false };
            if part == REST_OF_PATH {
                return !left.is_empty();
            }
            let (found, next) = left.split_once('/').map_or((left, None), |(found, next)| (found, Some(next)));
            let fits = if part.starts_with('{') { !found.is_empty() } else { found == part };
            if !fits {
                return false;
            }
            rest = next;
        }
        rest.is_none()
    }
}

fn of_path(path: &str, item: &PathItem) -> Vec<Operation> {
    let methods = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    methods
        .into_iter()
        .filter_map(|(method, operation)| {
            let id = operation.as_ref()?.operation_id.clone()?;
            let role = role_of(&id);
            Some(Operation { address: path.to_owned(), method, id: id.into(), role })
        })
        .collect()
}
