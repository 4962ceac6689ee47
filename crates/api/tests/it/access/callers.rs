//! Everybody who may come to the server: keys of each role, dead ones, browsers, the shell, nobody.

use reqwest::{RequestBuilder, header};
use serde_json::json;
use service::{
    SystemClock,
    access::{Access, NewKey, Role, read_shell_token},
};

use crate::world::{Server, World};

pub(super) const PASSWORD: &str = "a good password";

/// What somebody sends.
#[derive(Clone)]
pub(super) enum Proof {
    Nothing,
    Key(String),
    /// Its name and its value.
    Cookie(String),
}

impl Proof {
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Key(key) => request.bearer_auth(key),
            Self::Cookie(pair) => request.header(header::COOKIE, pair),
        }
    }
}

/// A cookie of the server's own name with another value.
pub(super) fn planted(cookie: &str, value: &str) -> String {
    format!("{}={value}", cookie.split_once('=').unwrap().0)
}

/// The same database, as another process has it.
pub(crate) async fn shell(world: &World) -> Access {
    Access::open(&database(world), SystemClock).await.unwrap()
}

pub(super) fn database(world: &World) -> std::path::PathBuf {
    world.folder.path().join("data/dashboard.db")
}

pub(crate) async fn key(access: &Access, role: Role) -> String {
    let new = NewKey { name: role.as_str().to_owned(), role, expires_at: None };
    access.generate_key(new).await.unwrap().0.reveal().to_owned()
}

/// Logs in as a browser does; the answer is the cookie of the session.
pub(super) async fn log_in(server: &Server) -> String {
    let login = server.client.post(server.url("/api/auth/login")).json(&json!({"password": PASSWORD}));
    let answer = login.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    cookie_of(&answer).unwrap()
}

/// The first cookie that an answer sets, as a browser sends it.
pub(super) fn cookie_of(answer: &reqwest::Response) -> Option<String> {
    let header = answer.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    Some(header.split(';').next()?.to_owned())
}

/// Everybody, by name, with the role that they have; `None`: they are nobody.
pub(super) async fn everybody(world: &World, server: &Server) -> Vec<(&'static str, Option<Role>, Proof)> {
    let access = shell(world).await;
    access.set_password(PASSWORD).await.unwrap();
    let token = read_shell_token(&database(world)).unwrap().unwrap();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1);
    let brief = NewKey { name: "brief".to_owned(), role: Role::Admin, expires_at: Some(soon) };
    let expired = access.generate_key(brief).await.unwrap().0.reveal().to_owned();
    let revoked = key(&access, Role::Admin).await;
    let id = access.list_keys().await.unwrap().last().unwrap().id.clone();
    access.revoke_key(&id).await.unwrap();
    let left = log_in(server).await;
    access.log_out(left.split_once('=').unwrap().1).await.unwrap();
    vec![
        ("nobody", None, Proof::Nothing),
        ("wrong key", None, Proof::Key("cdk_wrong".to_owned())),
        ("expired key", None, Proof::Key(expired)),
        ("revoked key", None, Proof::Key(revoked)),
        ("wrong cookie", None, Proof::Cookie(planted(&left, "wrong"))),
        ("ended session", None, Proof::Cookie(left)),
        ("read", Some(Role::Read), Proof::Key(key(&access, Role::Read).await)),
        ("operate", Some(Role::Operate), Proof::Key(key(&access, Role::Operate).await)),
        ("admin", Some(Role::Admin), Proof::Key(key(&access, Role::Admin).await)),
        ("shell", Some(Role::Admin), Proof::Key(token)),
        ("session", Some(Role::Admin), Proof::Cookie(log_in(server).await)),
    ]
}
