//! The program itself, as a shell starts it.

use std::ffi::OsString;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{TIMEOUT, World, client};

/// A call of the program in an environment that is empty but for what it is given.
pub(crate) fn call(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comfyui-dashboard"));
    command.args(arguments.into_iter().map(Into::into)).env_clear().kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    command
}

/// Runs a call to its end.
pub(crate) async fn run(mut command: Command) -> Output {
    tokio::time::timeout(TIMEOUT, command.output()).await.expect("the program ends in time").unwrap()
}

/// A call whose settings make it work in this world.
pub(crate) fn call_in(world: &World, words: &[&str]) -> Command {
    let words = words.iter().map(OsString::from);
    call(words.chain(world.arguments()))
}

/// A server of its own process.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Process {
    /// Starts the server on a port of its own choice.
    pub(crate) async fn serve(world: &World) -> Self {
        Self::started(call_in(world, &["serve", "--listen", "127.0.0.1:0"])).await
    }

    /// Waits until a started server says where it is.
    pub(crate) async fn started(mut command: Command) -> Self {
        Self::listening(command.stderr(Stdio::null()).spawn().unwrap()).await
    }

    /// The same, of one that has been spawned.
    pub(crate) async fn listening(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = tokio::time::timeout(TIMEOUT, lines.next_line()).await.expect("it starts in time");
        let line = said.unwrap().expect("it says where it serves");
        let address = line.rsplit_once("http://").expect("an address").1.to_owned();
        Self { child, address }
    }

    /// Asks and reads the answer as JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = client().request(method.parse().unwrap(), format!("http://{}{path}", self.address));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until a download stands as wanted.
    pub(crate) async fn until(&self, download: &Value, wanted: &str) {
        let path = format!("/api/downloads/{}", download.as_str().unwrap());
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let looking = async {
            while self.json("GET", &path, None).await.1["status"] != wanted {
                look.tick().await;
            }
        };
        tokio::time::timeout(TIMEOUT, looking).await.expect("the download stands as wanted in time");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// How it ended, within the time.
    pub(crate) async fn end(mut self, within: Duration) -> std::process::ExitStatus {
        tokio::time::timeout(within, self.child.wait()).await.expect("it ends in time").unwrap()
    }
}
