//! Every route of the server, each registered together with its document. Handlers take a request apart, call one facade
//! method of the same name, and turn its answer into JSON; they decide nothing.

pub mod audit;
pub mod auth;
pub mod comfyui;
pub mod docs;
pub mod downloads;
pub mod health;
pub mod jobs;
pub mod keys;
pub mod models;
pub mod outputs;
pub mod presets;
pub mod queue;
pub mod registry;
pub mod requirements;
pub mod sessions;
pub mod settings;
pub mod socket;
pub mod system;
pub mod unrouted;
pub mod workflows;

use utoipa_actix_web::service_config::ServiceConfig;

/// Registers every documented route. Literal addresses come before those with an `{id}` in their place.
pub fn register(config: &mut ServiceConfig) {
    register_machine(config);
    register_models(config);
    register_comfyui(config);
    register_access(config);
}

/// The machine and its health.
fn register_machine(config: &mut ServiceConfig) {
    config
        .service(health::health)
        .service(health::api_health)
        .service(health::livez)
        .service(health::readyz)
        .service(health::metrics)
        .service(system::system_status)
        .service(system::storage)
        .service(system::resources)
        .service(system::logs)
        .service(docs::openapi)
        .service(socket::open_socket)
        .service(socket::open_api_socket);
}

/// What arrives, what is here, and what belongs together.
fn register_models(config: &mut ServiceConfig) {
    config
        .service(presets::list_presets)
        .service(registry::recommendations)
        .service(registry::updates)
        .service(registry::sync_registry)
        .service(registry::sync_registry_by_get)
        .service(registry::registry_status)
        .service(presets::preset_status)
        .service(presets::install_preset)
        .service(presets::preset_detail)
        .service(presets::uninstall_preset)
        .service(downloads::list_downloads)
        .service(downloads::add_download)
        .service(downloads::download_history)
        .service(downloads::clear_download_history)
        .service(downloads::pause_download)
        .service(downloads::resume_download)
        .service(downloads::get_download)
        .service(downloads::change_download)
        .service(downloads::cancel_download)
        .service(models::list_models)
        .service(models::delete_models)
        .service(models::list_model_types)
        .service(models::rescan_models)
        .service(models::repair_models)
        .service(jobs::validate_models)
        .service(models::model_detail)
        .service(jobs::list_jobs)
        .service(jobs::get_job)
        .service(jobs::cancel_job);
}

/// ComfyUI, its queue, its workflows and what it made.
fn register_comfyui(config: &mut ServiceConfig) {
    config
        .service(comfyui::comfyui_health)
        .service(comfyui::execute)
        .service(comfyui::interrupt)
        .service(comfyui::free)
        .service(queue::queue)
        .service(queue::clear_queue)
        .service(queue::pause_queue)
        .service(queue::resume_queue)
        .service(queue::change_prompt)
        .service(queue::cancel_prompt)
        .service(queue::list_prompts)
        .service(queue::clear_prompt_history)
        .service(queue::prompt_history)
        .service(workflows::list_workflows)
        .service(workflows::save_workflow)
        .service(requirements::convert_workflow)
        .service(requirements::graph_requirements)
        .service(requirements::workflow_requirements)
        .service(requirements::install_workflow)
        .service(requirements::install_requirements)
        .service(workflows::get_workflow)
        .service(workflows::update_workflow)
        .service(workflows::delete_workflow)
        .service(outputs::list_outputs)
        .service(outputs::view_output)
        .service(outputs::delete_outputs)
        .service(outputs::upload_input);
}

/// Who may come in, and what is set.
fn register_access(config: &mut ServiceConfig) {
    config
        .service(auth::log_in)
        .service(auth::log_out)
        .service(auth::me)
        .service(keys::list_keys)
        .service(keys::generate_key)
        .service(keys::revoke_named_key)
        .service(keys::revoke_key)
        .service(sessions::list_sessions)
        .service(sessions::revoke_all_sessions)
        .service(sessions::revoke_session)
        .service(settings::get_settings)
        .service(settings::change_settings)
        .service(settings::set_token)
        .service(settings::clear_token)
        .service(audit::list_audit);
}
