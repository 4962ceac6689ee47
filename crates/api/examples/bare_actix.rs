//! `cargo xtask bench api`: actix-web with nothing around it, as the floor. Answers `/bytes/NAME` with the file `NAME.json` of the
//! folder that it is given, from memory, and prints its address once it listens.

use std::io;
use std::path::Path;

use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;

/// As many workers as the product has at most.
const MOST_WORKERS: usize = 4;

#[actix_web::main]
async fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: bare_actix FOLDER"))?;
    let bodies = read(Path::new(&folder))?;
    let app = move || {
        bodies.iter().cloned().fold(App::new(), |app, (name, body)| {
            let answer = move || {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(body) }
            };
            app.route(&format!("/bytes/{name}"), web::get().to(answer))
        })
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let server = HttpServer::new(app).workers(workers).bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("http://{address}");
    }
    server.run().await
}

fn read(folder: &Path) -> io::Result<Vec<(String, Bytes)>> {
    let mut bodies = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(name) = path.file_stem()
        {
            bodies.push((name.to_string_lossy().into_owned(), Bytes::from(std::fs::read(&path)?)));
        }
    }
    Ok(bodies)
}
