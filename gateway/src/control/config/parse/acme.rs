//! Certificates that the gateway gets by itself. Whether the server gives them is seen when it is asked.

use std::path::PathBuf;

use super::Parse;
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Key, OneOrMany};
use crate::control::config::resolved::{Acme, AcmeChallenge};
use crate::name::Name;

/// Asked if no other is named. Its terms are agreed to by whoever writes the table.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The folder in the state directory.
const FOLDER: &str = "acme";

/// What counts for the table and stands elsewhere.
pub(super) struct AcmeGround<'a> {
    pub(super) listener: &'a Name,
    /// Where what is to last is kept.
    pub(super) state_directory: Option<&'a PathBuf>,
    /// Whether clients without a certificate are turned away there.
    pub(super) certificate_required: bool,
    /// Whether some listener is in the clear.
    pub(super) has_plain: bool,
}

impl Parse {
    pub(super) fn acme(&mut self, table: Key<file::Acme>, ground: &AcmeGround<'_>) -> Option<At<Acme>> {
        let At { value: table, place } = table.get()?;
        let write = "add `names = [\"shop.example\"]`";
        if table.names.is_absent() {
            self.wrong(&place, "`names` is missing", write);
        }
        let names = table.names.get().map_or_else(Vec::new, |At { value: OneOrMany(list), place }| {
            if list.empty {
                self.wrong(&place, "there is no name here", write);
            }
            list.items.into_iter().map(|at| at.value.0).collect()
        });
        let challenge = table.challenge.get();
        let at = challenge.as_ref().map_or(&place, |challenge| &challenge.place);
        self.can_prove(challenge.as_ref().map_or(AcmeChallenge::TlsAlpn01, |at| at.value), at, ground);
        let folder = match ground.state_directory {
            Some(state) => state.join(FOLDER),
            None => {
                let write = "add `state_directory = \"/var/lib/bascule\"` to [plugins]";
                self.wrong(&place, "there is nowhere to keep the account and the certificate", write);
                PathBuf::new()
            }
        };
        let contact = table.contact.get().map_or_else(Vec::new, |At { value: OneOrMany(list), .. }| {
            list.items.into_iter().map(|at| at.value.0).collect()
        });
        let acme = Acme {
            names,
            directory: table.directory.get().map_or_else(|| LETS_ENCRYPT.to_owned(), |at| at.value.0),
            contact,
            ca: table.ca.get().map(|at| At::new(at.value.0, at.place)),
            challenge: challenge.map_or(AcmeChallenge::TlsAlpn01, |at| at.value),
            kept: folder.join(format!("{}.pem", ground.listener)),
            folder,
        };
        Some(At::new(acme, place))
    }

    /// An ACME server shows no certificate, and asks for files in the clear.
    fn can_prove(&mut self, challenge: AcmeChallenge, place: &Place, ground: &AcmeGround<'_>) {
        match challenge {
            AcmeChallenge::TlsAlpn01 if ground.certificate_required => {
                let write = "add `challenge = \"http-01\"`, or let clients in without one: `client_certificate = \"optional\"`";
                let what =
                    "an ACME server has no certificate to show, and clients without one are turned away here";
                self.wrong(place, what, write);
            }
            AcmeChallenge::Http01 if !ground.has_plain => {
                let write = "add a table [listener.plain] with `address = \"0.0.0.0:80\"`";
                self.wrong(place, "an ACME server asks in the clear, and no listener is", write);
            }
            _ => {}
        }
    }
}
