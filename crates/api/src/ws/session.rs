//! One client of the socket: reads what it says, writes what it should hear, and ends when it is silent, gone, too far
//! behind, or the server closes.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{http::StatusCode, web::Payload};
use actix_ws::{CloseCode, CloseReason, Session};
use service::{Dashboard, events::Channel, jobs::JobState, text::shorten};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::frames::{FrameReader, Incoming};
use super::hub::{Hub, Seat};
use super::message::{self, ClientMessage, Encoded, RequestId};
use super::{
    actions,
    outbox::{Next, Outbox},
};
use crate::audit;
use crate::error::ApiError;
use crate::large_bodies::LargeBodies;
use crate::middleware::error_envelope::body_of;
use crate::middleware::{authenticate::Asker, rate_limit};
use crate::operations::Role;

/// How long a client has to take the farewell.
const FAREWELL: Duration = Duration::from_secs(2);

const CREDENTIALS_ENDED: &str = "the credentials that opened this connection no longer hold";

/// How a connection is kept alive, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub struct SocketPace {
    /// How often the server says something: proxies cut connections that are idle.
    pub ping: Duration,
    /// How long a client may say nothing, pongs included, or take nothing.
    pub silence: Duration,
}

impl Default for SocketPace {
    fn default() -> Self {
        Self { ping: Duration::from_secs(20), silence: Duration::from_secs(60) }
    }
}

/// A client as this file sees it.
#[derive(Clone)]
struct Client {
    dashboard: Dashboard,
    bodies: Arc<LargeBodies>,
    outbox: Arc<Outbox>,
    asker: Asker,
    request_id: String,
}

/// Speaks with one client until either side ends it.
pub(crate) async fn serve(
    (hub, seat): (Arc<Hub>, Seat),
    (dashboard, bodies): (Dashboard, Arc<LargeBodies>),
    (asker, request_id): (Asker, String),
    pace: SocketPace,
    (session, payload): (Session, Payload),
) {
    let client = Client { dashboard, bodies, outbox: Arc::clone(&seat.outbox), asker, request_id };
    let reason = tokio::select! {
        reason = client.listen(FrameReader::new(payload), session.clone(), pace) => reason,
        reason = write(&seat.outbox, session.clone(), pace) => reason,
        () = client.asker.credentials_end(&client.dashboard.access, pace.ping) => Some(farewell(CloseCode::Policy, CREDENTIALS_ENDED)),
        () = hub.closing() => Some(farewell(CloseCode::Away, "the server is closing")),
    };
    drop(seat);
    let _ = timeout(FAREWELL, session.close(reason)).await;
}

/// Writes what waits, and a ping where nothing else is said.
async fn write(outbox: &Outbox, mut session: Session, pace: SocketPace) -> Option<CloseReason> {
    let mut pings = interval(pace.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seq = 0;
    loop {
        let written = tokio::select! {
            message = outbox.next() => {
                let Ok(message) = message else {
                    return Some(farewell(CloseCode::Again, "too far behind; connect again for a snapshot"));
                };
                match message {
                    Next::Text(message) => {
                        seq += 1;
                        timeout(pace.silence, session.text(message.numbered(seq))).await
                    }
                    Next::Picture(picture) => timeout(pace.silence, session.binary(picture)).await,
                }
            }
            _ = pings.tick() => timeout(pace.silence, session.ping(b"")).await,
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(farewell(CloseCode::Again, "nothing was read for too long")),
        }
    }
}

impl Client {
    /// Reads what the client says.
    async fn listen(
        &self,
        mut frames: FrameReader<Payload>,
        mut session: Session,
        pace: SocketPace,
    ) -> Option<CloseReason> {
        loop {
            let Ok(heard) = timeout(pace.silence, frames.next()).await else {
                return Some(farewell(CloseCode::Policy, "nothing was heard for too long"));
            };
            match heard? {
                Ok(Incoming::Text(text)) => self.answer(&text).await,
                Ok(Incoming::Binary) => {
                    self.complain(&ApiError::invalid("message", "it must be text"), &RequestId::default()).await;
                }
                Ok(Incoming::Ping(bytes)) => session.pong(&bytes).await.ok()?,
                Ok(Incoming::Pong) => {}
                Ok(Incoming::Close(reason)) => return reason,
                Err(violation) => return Some(violation.into()),
            }
        }
    }

    async fn answer(&self, text: &str) {
        let asked = match ClientMessage::parse(text) {
            Ok(asked) => asked,
            Err(failure) => return self.complain(&failure, &RequestId::default()).await,
        };
        match asked.r#type.as_str() {
            "subscribe" => self.subscribe(&asked).await,
            "unsubscribe" => self.unsubscribe(&asked).await,
            "ping" => self.say("pong", &asked, &serde_json::json!({})).await,
            "action" => self.act_to_the_end(asked).await,
            other => {
                let takes = format!("{:?} is none of subscribe, unsubscribe, action, ping", shorten(other));
                self.complain(&ApiError::invalid("type", takes), &asked.request_id).await;
            }
        }
    }

    async fn subscribe(&self, asked: &ClientMessage) {
        let channels = self.known_channels(asked).await;
        let (now_on, _turn) = self.outbox.subscribe(&channels);
        if channels.contains(&Channel::Workflows) {
            self.outbox.want_pictures(asked.previews);
        }
        self.say("subscribed", asked, &serde_json::json!({"channels": names(&now_on)})).await;
        let in_order = [Channel::System, Channel::Downloads, Channel::Queue, Channel::Workflows];
        for channel in in_order.into_iter().filter(|channel| channels.contains(channel)) {
            if let Err(failure) = self.snapshot(channel).await {
                self.complain(&failure.into(), &asked.request_id).await;
            }
        }
    }

    /// How things stand, as the channel's ordinary messages.
    async fn snapshot(&self, channel: Channel) -> Result<(), service::Error> {
        let (dashboard, now) = (&self.dashboard, self.dashboard.now());
        let messages: Vec<Encoded> = match channel {
            Channel::System => {
                let sample = dashboard.system.sample().await;
                let jobs = dashboard.jobs.list();
                let running = jobs.iter().filter(|job| job.state == JobState::Running);
                let running = running.map(|job| message::snapshot_of_job(job, now));
                std::iter::once(message::snapshot_of_system(&sample, now)).chain(running).collect()
            }
            Channel::Downloads => {
                let views = dashboard.downloads.unfinished().await?;
                views.iter().map(|view| message::snapshot_of(view, now)).collect()
            }
            Channel::Queue => vec![message::snapshot_of_queue(&dashboard.prompts.figures(), now)],
            Channel::Workflows => {
                let steps = dashboard.prompts.progress().await?;
                steps.iter().map(|step| message::snapshot_of_step(step, now)).collect()
            }
        };
        for message in messages {
            self.outbox.push(message).await;
        }
        Ok(())
    }

    async fn unsubscribe(&self, asked: &ClientMessage) {
        let channels = self.known_channels(asked).await;
        let still_on = self.outbox.unsubscribe(&channels);
        self.say("unsubscribed", asked, &serde_json::json!({"channels": names(&still_on)})).await;
    }

    /// A client that goes away while its action is done takes nothing back: half of it would be done, and not noted.
    async fn act_to_the_end(&self, asked: ClientMessage) {
        let client = self.clone();
        let done = actix_web::rt::spawn(async move { client.act(&asked).await });
        if let Err(ended) = done.await {
            tracing::error!(request_id = self.request_id, error = %ended, "an action of the socket exited unexpectedly");
        }
    }

    async fn act(&self, asked: &ClientMessage) {
        let is_known = self.asker.is_still_known(&self.dashboard.access).await;
        let role = if is_known { self.asker.role() } else { Role::Open };
        let decision = self.dashboard.access.limits.check(&self.asker.client());
        let mut room = self.bodies.room(self.asker.client());
        let refusal = decision.and_then(|decision| rate_limit::refusal(&decision));
        let refusal = refusal.or_else(|| room.hold(asked.data.as_deref().map_or(0, |data| data.get().len())).err());
        let outcome = match refusal {
            Some(refusal) => Some(Err(refusal)),
            None => actions::perform(&self.dashboard, role, asked).await,
        };
        let Some(outcome) = outcome else {
            let takes = actions::ACTIONS.map(|(name, _)| name).join(", ");
            let message = format!("{:?} is none of {takes}", shorten(&asked.action));
            return self.complain(&ApiError::invalid("action", message), &asked.request_id).await;
        };
        let target = actions::target(asked);
        let noted = outcome.as_ref().map(|_| StatusCode::OK).unwrap_or_else(|failure| failure.code.status());
        audit::note(&self.dashboard, &self.asker, &asked.action, &target, noted).await;
        let now = self.dashboard.now();
        let outcome = outcome.map_err(|failure| body_of(&failure, &self.request_id, now));
        self.outbox.push(actions::result(asked, outcome, now)).await;
    }

    /// The channels that the client names; what is no channel is complained of and left out.
    async fn known_channels(&self, asked: &ClientMessage) -> Vec<Channel> {
        let all = names(&Channel::ALL).join(", ");
        let (known, unknown): (Vec<&String>, Vec<&String>) =
            asked.channels.iter().partition(|word| Channel::parse(word).is_some());
        if !unknown.is_empty() || asked.channels.is_empty() {
            let unknown = format!("{unknown:?}");
            let failure = ApiError::invalid("channels", format!("{} must be some of {all}", shorten(&unknown)));
            self.complain(&failure, &asked.request_id).await;
        }
        known.into_iter().filter_map(|word| Channel::parse(word)).collect()
    }

    async fn say(&self, kind: &str, asked: &ClientMessage, data: &serde_json::Value) {
        self.outbox.push(Encoded::reply(kind, self.dashboard.now(), &asked.request_id, data)).await;
    }

    async fn complain(&self, failure: &ApiError, request_id: &RequestId) {
        let body = body_of(failure, &self.request_id, self.dashboard.now());
        self.outbox.push(message::error(&body, request_id)).await;
    }
}

fn names(channels: &[Channel]) -> Vec<&'static str> {
    channels.iter().map(|channel| channel.as_str()).collect()
}

fn farewell(code: CloseCode, words: &str) -> CloseReason {
    CloseReason { code, description: Some(words.to_owned()) }
}
