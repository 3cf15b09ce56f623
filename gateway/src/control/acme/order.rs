//! One order at an ACME server, from the names to the certificate (RFC 8555, 7.4).

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::error::AcmeError;
use crate::control::config::{Acme, AcmeChallenge};
use crate::transport::tls::Challenges;

/// How long the server may take to look at a proof, and again to sign. It is asked more and more seldom meanwhile.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// A proof that is out; it is taken back when this goes, also in the middle of an order.
struct Proof {
    challenges: Arc<Challenges>,
    name: String,
    token: String,
}

impl Drop for Proof {
    fn drop(&mut self) {
        self.challenges.forget(&self.name, &self.token);
    }
}

/// Orders a certificate for all names: its key and its chain, in PEM.
pub(super) async fn certificate(
    account: &Account,
    wanted: &Acme,
    challenges: &Arc<Challenges>,
) -> Result<String, AcmeError> {
    let names: Vec<Identifier> = wanted.names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut proofs = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        proofs.extend(prove(authorization?, wanted.challenge, challenges).await?);
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(why_not(&mut order, None).await),
        Err(error) => return Err(why_not(&mut order, Some(error)).await),
    }
    drop(proofs);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(wanted.names.clone())?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(key.serialize_pem() + &chain)
}

/// Puts the proof of a name out, and says so; nothing if the server believes it already.
async fn prove(
    mut authorization: AuthorizationHandle<'_>,
    by: AcmeChallenge,
    challenges: &Arc<Challenges>,
) -> Result<Option<Proof>, AcmeError> {
    let name = authorization.identifier().to_string();
    match authorization.status {
        AuthorizationStatus::Valid => return Ok(None),
        AuthorizationStatus::Pending => {}
        other => {
            return Err(AcmeError::NotProved { name, why: format!("the server says that it is {other:?}") });
        }
    }
    let (kind, word) = match by {
        AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
        AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
    };
    let Some(mut challenge) = authorization.challenge(kind) else {
        return Err(AcmeError::NotOffered(word, name));
    };
    let proof = Proof { challenges: Arc::clone(challenges), name, token: challenge.token.clone() };
    let key_authorization = challenge.key_authorization();
    match by {
        AcmeChallenge::TlsAlpn01 => {
            show(&proof, key_authorization.digest().as_ref())?;
        }
        AcmeChallenge::Http01 => challenges.answer_http(&proof.token, key_authorization.as_str()),
    }
    match challenge.set_ready().await {
        Ok(()) => Ok(Some(proof)),
        // A server that is quick has looked already.
        Err(instant_acme::Error::Api(problem)) => Err(not_proved(proof.name.clone(), &problem)),
        Err(error) => Err(error.into()),
    }
}

/// Shows a certificate in handshakes that proves a name (RFC 8737, 3).
fn show(proof: &Proof, digest: &[u8]) -> Result<(), AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![proof.name.clone()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(proof.challenges.show(&proof.name, certificate, key)?)
}

/// What the server says of the first name that it does not believe; of the order, if it says nothing of names.
async fn why_not(order: &mut Order, error: Option<instant_acme::Error>) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return not_proved(name, problem);
        }
    }
    let unknown =
        || AcmeError::NotProved { name: "a name".to_owned(), why: "the server does not say why".to_owned() };
    error.map_or_else(unknown, AcmeError::from)
}

fn not_proved(name: String, problem: &Problem) -> AcmeError {
    AcmeError::NotProved { name, why: problem.to_string().replace(char::is_control, " ") }
}
