//! TLS of the gateway as a client of registries and stores.

use super::Parse;
use crate::control::config::file;
use crate::control::config::reading::Key;
use crate::control::config::resolved::{ClientIdentity, ClientTls, Login};
use crate::control::config::secret::Secret;
use crate::control::config::text::Word;

impl Parse {
    /// The files of a table `tls`. A certificate is of no use without its key.
    pub(super) fn client_tls(&mut self, tls: Key<file::ClientTls>) -> Option<ClientTls> {
        let tls = tls.get()?.value;
        if let (Key::Is(at), Key::Absent) = (&tls.certificate, &tls.key) {
            self.wrong(&at.place, "this certificate has no key", "add `key`, the file that holds it");
        }
        if let (Key::Is(at), Key::Absent) = (&tls.key, &tls.certificate) {
            self.wrong(&at.place, "this key has no certificate", "add `certificate`, the file that holds it");
        }
        let identity = tls.certificate.get().zip(tls.key.get());
        let identity = identity
            .map(|(certificate, key)| ClientIdentity { certificate: certificate.value.0, key: key.value.0 });
        Some(ClientTls { ca: tls.ca.get().map(|at| at.value.0), identity })
    }

    /// A user and the password. Neither is of use alone.
    pub(super) fn login(&mut self, user: Key<Word>, password: Key<Secret>) -> Option<Login> {
        if let (Key::Is(at), Key::Absent) = (&user, &password) {
            let write = "add `password = { env = \"NAME\" }`";
            self.wrong(&at.place, "this user has no password", write);
        }
        if let (Key::Is(at), Key::Absent) = (&password, &user) {
            self.wrong(&at.place, "this password is nobody's", "add `user`");
        }
        let login = user.get().zip(password.get());
        login.map(|(user, password)| Login { user: user.value.0, password: password.value })
    }
}
