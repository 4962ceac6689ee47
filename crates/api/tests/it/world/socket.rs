//! A client of the socket.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::{Server, TIMEOUT};

pub(crate) struct Client(pub(crate) WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::try_connect(server, "/ws", &[]).await.unwrap()
    }

    /// Connects with these headers; a refusal comes back as the error of the handshake.
    pub(crate) async fn try_connect(
        server: &Server,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let address = format!("127.0.0.1:{}", server.port);
        let stream = TcpStream::connect(&address).await.unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Ok(Self(client_async(request, stream).await?.0))
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message that is JSON.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// The next message of one of these types; others are passed over.
    pub(crate) async fn hear_one_of(&mut self, types: &[&str]) -> Value {
        loop {
            let message = self.hear().await;
            if types.contains(&message["type"].as_str().unwrap()) {
                return message;
            }
        }
    }

    /// How the server ends the connection.
    pub(crate) async fn hear_end(&mut self) -> Option<CloseFrame> {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        tokio::time::timeout(TIMEOUT, self.0.next()).await.expect("something is heard in time")
    }
}
