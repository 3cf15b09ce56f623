//! The registry of one gateway. Where gateways share a store one of them would do, but which ones do is their affair: the
//! node registers with each.

use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::desk::{ANSWER, Desk};
use super::refusal;
use super::settings::Settings;
use crate::control::config::Origin;
use crate::control::http_client::{Answer, HttpClient, encoded};

/// A gateway, and what it is told.
pub(super) struct Gateway {
    client: HttpClient,
    name: String,
    path: String,
    body: Bytes,
}

impl Gateway {
    pub(super) fn new(origin: &Origin, settings: &Settings) -> Result<Self, String> {
        let mut client = HttpClient::new(origin, settings.tls.as_ref())?;
        if let Some(token) = &settings.token {
            client = client.with_secret(AUTHORIZATION, &format!("Bearer {}", token.reveal()))?;
        }
        let mut body: Value =
            serde_json::from_str(&settings.node.to_json()).expect("it was written just now");
        body["ttl"] = format!("{}s", settings.ttl.as_secs()).into();
        let path = format!("/pools/{}/nodes/{}", settings.pool, encoded(&settings.node.id));
        Ok(Self { client, name: origin.to_string(), path, body: body.to_string().into() })
    }

    async fn ask(&mut self, method: Method, body: Bytes) -> Result<Answer, String> {
        self.client.ask(method, &self.path, body, ANSWER).await.map_err(|error| error.to_string())
    }
}

impl Desk for Gateway {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&mut self) -> Result<(), String> {
        let answer = self.ask(Method::PUT, self.body.clone()).await?;
        if answer.status.is_success() { Ok(()) } else { Err(refusal(&answer)) }
    }

    async fn leave(&mut self) -> Result<(), String> {
        let answer = self.ask(Method::DELETE, Bytes::new()).await?;
        // It may have been taken out through another gateway.
        let is_out = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
        if is_out { Ok(()) } else { Err(refusal(&answer)) }
    }
}
