//! The program: reads its call, starts the runtime, does what was asked, says in one line why it could not.

use std::process::ExitCode;

use api::{Invocation, cli, cli::print};

/// The call itself cannot be obeyed.
const UNUSABLE_CALL: u8 = 2;

fn main() -> ExitCode {
    let invocation = match Invocation::of_process() {
        Ok(invocation) => invocation,
        Err(answer) if answer.is_answer => {
            return match print::raw(&format!("{answer}\n")) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    print::complain(format_args!("comfyui-dashboard: {failure}"));
                    failure.exit_code()
                }
            };
        }
        Err(refusal) => {
            print::complain(format_args!("comfyui-dashboard: {refusal}"));
            return ExitCode::from(UNUSABLE_CALL);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            print::complain(format_args!("comfyui-dashboard: the runtime cannot start: {cause}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli::run(invocation));
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            print::complain(format_args!("comfyui-dashboard: {failure}"));
            failure.exit_code()
        }
    }
}

/// Threads for what only waits: half of the processors. HTTP clients are served, files hashed and written by threads of
/// their own, and a worker that looks for work and finds none takes processor time away from them.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}
