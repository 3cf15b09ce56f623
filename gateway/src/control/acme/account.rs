//! The account at an ACME server: made when there is none yet, and kept in the state directory. Listeners with the same
//! server share it; gateways do not.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use instant_acme::{Account, AccountCredentials, NewAccount};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::client::Client;
use super::error::AcmeError;
use crate::control::config::Acme;
use crate::control::store::write_whole;

/// What is kept of an account.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Whom the server was told to write to.
    contact: Vec<String>,
    /// The key, and where the account is.
    credentials: AccountCredentials,
}

/// The account at this server.
///
/// # Errors
/// The server gives none, or it cannot be kept.
pub(super) async fn open(wanted: &Acme) -> Result<Account, AcmeError> {
    let path = path(wanted);
    let builder = Account::builder_with_http(Box::new(Client::new(wanted)?));
    match fs::read(&path) {
        Ok(text) => match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) => {
                let account = builder.from_credentials(kept.credentials).await?;
                return match kept.contact == wanted.contact {
                    true => Ok(account),
                    false => tell_contact(account, wanted, &text).await,
                };
            }
            Err(_) => warn!(file = %path.display(), "the account cannot be read and is made anew"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(AcmeError::Kept(path, error)),
    }
    let contact: Vec<&str> = wanted.contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, wanted.directory.clone(), None).await?;
    info!(server = wanted.directory, "an account was made at an ACME server");
    keep(wanted, &Kept { contact: wanted.contact.clone(), credentials })?;
    Ok(account)
}

/// Somebody else is to be written to from now on.
async fn tell_contact(account: Account, wanted: &Acme, text: &[u8]) -> Result<Account, AcmeError> {
    let contact: Vec<&str> = wanted.contact.iter().map(String::as_str).collect();
    account.update_contacts(&contact).await?;
    if let Ok(kept) = serde_json::from_slice::<Kept>(text) {
        keep(wanted, &Kept { contact: wanted.contact.clone(), ..kept })?;
    }
    Ok(account)
}

/// Lets go of an account that the server does not know.
///
/// # Errors
/// The file stays.
pub(super) fn forget(wanted: &Acme) -> Result<(), AcmeError> {
    warn!(
        server = wanted.directory,
        "the ACME server does not know the account any more; another one is made"
    );
    let path = path(wanted);
    fs::remove_file(&path).map_err(|error| AcmeError::Kept(path, error))
}

fn keep(wanted: &Acme, kept: &Kept) -> Result<(), AcmeError> {
    let path = path(wanted);
    let text = serde_json::to_vec_pretty(kept).expect("text and base64 are JSON");
    let written = DirBuilder::new().recursive(true).mode(0o700).create(&wanted.folder);
    written.and_then(|()| write_whole(&path, &text)).map_err(|error| AcmeError::Kept(path, error))
}

/// One file a server.
fn path(wanted: &Acme) -> PathBuf {
    let hash: String =
        Sha256::digest(&wanted.directory).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    wanted.folder.join(format!("account-{hash}.json"))
}
