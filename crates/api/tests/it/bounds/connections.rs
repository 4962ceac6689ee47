//! Connections that send too little, too much or nonsense, and what counts as one that stays.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Server, TIMEOUT, World, socket::Client};

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port)).await.unwrap()
}

/// Sends a chunk of one byte now and then until the server ends the connection; what it answered.
async fn trickle(server: &Server, head: &str) -> String {
    let mut stream = connect(server).await;
    let head = format!("{head}\r\nHost: 127.0.0.1:{}\r\nTransfer-Encoding: chunked\r\n\r\n", server.port);
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from_server, mut to_server) = stream.split();
    let trickling = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while to_server.write_all(b"1\r\n{\r\n").await.is_ok() {
            pace.tick().await;
        }
    };
    let mut answer = Vec::new();
    let ended = async {
        let (_, _) = tokio::join!(from_server.read_to_end(&mut answer), trickling);
    };
    tokio::time::timeout(TIMEOUT, ended).await.expect("the connection ends");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_request_whose_chunks_trickle_is_closed() {
    let server = World::new().serve().await;
    for (head, status) in
        [("GET /livez HTTP/1.1", "200"), ("POST /api/nothing HTTP/1.1", "404"), ("GET / HTTP/1.1", "200")]
    {
        let answer = trickle(&server, head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_cannot_be_read_is_answered_400() {
    let server = World::new().serve().await;
    for (path, chunks) in [
        ("/api/downloads", ["", "nonsense\r\n"]),
        ("/api/downloads", ["5\r\n{    \r\n", "zz\r\n"]),
        ("/api/presets/SMALL/install", ["5\r\n{    \r\n", "1\r\nxx"]),
        ("/api/inputs?filename=a.png", ["5\r\nbytes\r\n", "fffffffffffffffff\r\n"]),
    ] {
        let mut stream = connect(&server).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            server.port
        );
        stream.write_all(format!("{head}{}", chunks[0]).as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(chunks[1].as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(TIMEOUT, stream.read_to_string(&mut answer)).await.expect("it ends").unwrap();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400") && head.contains("x-request-id"), "{answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "INVALID_REQUEST");
        assert_eq!(body["error"]["details"]["parameter"], "body");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_counts_as_a_socket() {
    let world = World::new().flag("--max-sockets-per-client=2");
    // A reader that has gone is noticed when something is said to it.
    let server = world.serve_with(|config| config.socket_pace.ping = Duration::from_millis(20)).await;
    let follow = || server.client.get(server.url("/api/system/logs?follow=true")).send();
    let _socket = Client::connect(&server).await;
    let followed = follow().await.unwrap();
    assert_eq!(followed.status(), 200);
    assert_eq!(follow().await.unwrap().status(), 429);
    assert!(Client::try_connect(&server, "/ws", &[]).await.is_err());
    drop(followed);
    let again = async { while follow().await.unwrap().status() != 200 {} };
    tokio::time::timeout(TIMEOUT, again).await.expect("a place that was left is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escaped_address_has_the_headers_of_its_route() {
    let server = World::new().serve().await;
    for path in ["/api/nothing", "/%61pi/nothing", "/%61%70%69/presets/NONE"] {
        let answer = server.client.get(server.url(path)).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
    }
}
