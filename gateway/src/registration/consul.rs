//! A node as a service of a Consul agent, with a check that is passed for as long as the node is kept.
//!
//! The check's deadline is the lease: a node that lost its power is critical when it ends, and Consul forgets it some minutes
//! later.

use hyper::body::Bytes;
use hyper::header::HeaderName;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::desk::{ANSWER, Desk};
use super::refusal;
use super::settings::Settings;
use crate::control::Announced;
use crate::control::config::{NodeHost, Origin};
use crate::control::http_client::{Answer, HttpClient, encoded};

/// Where Consul looks for its ACL tokens.
const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
/// When Consul may forget a node that is critical: a minute is the least that it takes.
const FORGOTTEN: &str = "5m";
/// Consul's weights end here.
const MOST_WEIGHT: u32 = 65_535;

/// The agent, and what it is told.
pub(super) struct Agent {
    client: HttpClient,
    name: String,
    id: String,
    service: Bytes,
    /// Whether the agent knows the service, so that its check alone has to be passed.
    is_known: bool,
}

impl Agent {
    pub(super) fn new(origin: &Origin, settings: &Settings) -> Result<Self, String> {
        let mut client = HttpClient::new(origin, settings.tls.as_ref())?;
        if let Some(token) = &settings.token {
            client = client.with_secret(TOKEN, token.reveal())?;
        }
        let service = service(&settings.node, settings.pool.as_str(), settings.ttl.as_secs());
        let (id, name) = (settings.node.id.clone(), settings.to.to_string());
        Ok(Self { client, name, id, service: service.to_string().into(), is_known: false })
    }

    async fn put_to(&mut self, path: &str, body: Bytes) -> Result<Answer, String> {
        self.client.ask(Method::PUT, path, body, ANSWER).await.map_err(|error| error.to_string())
    }
}

impl Desk for Agent {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&mut self) -> Result<(), String> {
        let pass = format!("/v1/agent/check/pass/{}", encoded(&check(&self.id)));
        if self.is_known {
            let answer = self.put_to(&pass, Bytes::new()).await?;
            if answer.status.is_success() {
                return Ok(());
            }
            // An agent that was restarted without its data knows neither.
            self.is_known = false;
        }
        let service = self.service.clone();
        for (path, body) in [("/v1/agent/service/register", service), (pass.as_str(), Bytes::new())] {
            let answer = self.put_to(path, body).await?;
            if !answer.status.is_success() {
                return Err(refusal(&answer));
            }
        }
        self.is_known = true;
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), String> {
        self.is_known = false;
        let path = format!("/v1/agent/service/deregister/{}", encoded(&self.id));
        let answer = self.put_to(&path, Bytes::new()).await?;
        let is_out = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
        if is_out { Ok(()) } else { Err(refusal(&answer)) }
    }
}

fn check(id: &str) -> String {
    format!("service:{id}")
}

/// The service as the agent's API has it, and as the provider reads it back.
fn service(node: &Announced, pool: &str, ttl: u64) -> Value {
    let host = match node.address.host() {
        NodeHost::Ip(ip) => ip.to_string(),
        NodeHost::Dns(name) => name.clone(),
    };
    let mut meta = node.labels.clone();
    meta.extend(node.zone.iter().map(|zone| ("zone".to_owned(), zone.clone())));
    meta.insert("tier".to_owned(), node.tier.to_string());
    json!({
        "ID": node.id,
        "Name": pool,
        "Address": host,
        "Port": node.address.port(),
        "Meta": meta,
        "Weights": { "Passing": node.weight.get().min(MOST_WEIGHT), "Warning": 1 },
        "Check": {
            "CheckID": check(&node.id),
            "TTL": format!("{ttl}s"),
            "DeregisterCriticalServiceAfter": FORGOTTEN,
        },
    })
}
