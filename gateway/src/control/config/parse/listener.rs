//! Listeners, and TLS on both sides. Which files are good is seen when they are read.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::acme::AcmeGround;
use super::{Parse, Tables, passthrough};
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Entry, Key, Number, OneOrMany};
use crate::control::config::resolved::{
    Admin, CertificateFiles, ClientCertificate, ClientCertificates, HostHeader, Listener, ListenerProtocol,
    ListenerTls, NodeTls, TlsVersion, UnknownName,
};
use crate::control::config::value::Folder;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;

impl Parse {
    pub(super) fn listeners(
        &mut self,
        tables: Tables<file::Listener>,
        admin: &Admin,
        state_directory: Option<&PathBuf>,
    ) -> BTreeMap<Name, Listener> {
        if tables.is_empty() && self.complete {
            let start = self.start.clone();
            let write = "add one: a table [listener.public] with `address = \"0.0.0.0:8080\"`";
            self.wrong(&start, "there is no listener, so no request could arrive", write);
        }
        let is_plain = |table: &file::Listener| table.tls.is_absent() && !passthrough::passes(table);
        let has_plain = tables.iter().any(|entry| entry.table.as_ref().is_some_and(is_plain));
        let mut taken: HashMap<SocketAddr, Place> = HashMap::new();
        let mut listeners = BTreeMap::new();
        for Entry { name, table, .. } in tables {
            let Some(listener) = table else { continue };
            if passthrough::passes(&listener) {
                self.only_passing(&listener);
            }
            let Some(address) = self.required(listener.address, &name, "address", "\"0.0.0.0:8080\"") else {
                continue;
            };
            // Port 0 is another port each time.
            if address.port() != 0 {
                if let Some(first) = taken.get(&address.value) {
                    let what = format!("a listener has {} already", address.value);
                    self.twice(&address.place, what, first, "listen on another port");
                } else if address == admin.address {
                    let what = format!("the admin API listens on {}", address.value);
                    self.wrong(
                        &address.place,
                        what,
                        "listen on another port, or give [admin] another `address`",
                    );
                }
            }
            taken.insert(address.value, address.place.clone());
            let (connections, connections_per_client) =
                self.connections(listener.connections, listener.connections_per_client);
            if let (Key::Is(redirect), false) = (&listener.redirect, listener.tls.is_absent()) {
                let write =
                    "redirect on a listener in the clear: [listener.plain] with `redirect = \"https\"`";
                self.wrong(&redirect.place, "this listener is under HTTPS itself", write);
            }
            let redirect = listener.redirect.get().map(|at| at.value);
            let http2_streams = self.http2_streams(listener.http2, listener.http2_streams);
            let ground =
                AcmeGround { listener: &name.value, state_directory, certificate_required: false, has_plain };
            let tls = self.listener_tls(listener.tls, http2_streams.is_some(), ground);
            let requests_per_connection = Parse::requests(listener.requests_per_connection);
            let listener = Listener {
                name,
                address,
                protocol: listener.protocol.unless(ListenerProtocol::Http),
                connections,
                connections_per_client,
                proxy_protocol: self.proxies(listener.proxy_protocol),
                requests_per_connection,
                http2_streams,
                redirect,
                tls,
            };
            listeners.insert(listener.name.value.clone(), listener);
        }
        listeners
    }

    fn http2_streams(&mut self, wanted: Key<bool>, streams: Key<Number<1, 10_000>>) -> Option<u32> {
        if wanted.unless(true) {
            return Some(streams.get().map_or(100, |at| at.value.0));
        }
        if let Key::Is(streams) = streams {
            self.wrong(
                &streams.place,
                "HTTP/2 is not spoken here",
                "leave it out, or leave `http2 = false` out",
            );
        }
        None
    }

    fn listener_tls(
        &mut self,
        table: Key<file::ListenerTls>,
        http2: bool,
        ground: AcmeGround<'_>,
    ) -> Option<At<ListenerTls>> {
        let At { value: table, place } = table.get()?;
        let write = "add `certificates = { certificate = \"site.pem\", key = \"site.key\" }`";
        if table.certificates.is_absent() && table.acme.is_absent() {
            self.wrong(&place, "`certificates` is missing", write);
        }
        let listed = table.certificates.get().map(|At { value: OneOrMany(list), place }| (list, place));
        let certificates = listed.map_or_else(Vec::new, |(list, place)| {
            if list.empty {
                self.wrong(&place, "there is no certificate here", write);
            }
            list.items.into_iter().filter_map(|at| self.certificate(at)).collect()
        });
        if let (Key::Is(wanted), true) = (&table.client_certificate, table.client_ca.is_absent()) {
            let write = "add `client_ca = \"clients.pem\"`: whose certificates are believed";
            self.wrong(&wanted.place, "nobody says which certificates of clients are good", write);
        }
        if let (Key::Is(wanted), true) = (&table.client_certificate_field, table.client_ca.is_absent()) {
            let write = "add `client_ca = \"clients.pem\"`: whose certificates are believed";
            self.wrong(
                &wanted.place,
                "clients are not asked for certificates, so there is none to tell of",
                write,
            );
        }
        let certificate = table.client_certificate.unless(ClientCertificate::Required);
        let field = table.client_certificate_field.unless(false);
        let clients = path(table.client_ca).map(|ca| ClientCertificates { ca, certificate, field });
        let certificate_required = clients.is_some() && certificate == ClientCertificate::Required;
        let tls = ListenerTls {
            certificates,
            acme: self.acme(table.acme, &AcmeGround { certificate_required, ..ground }),
            unknown_name: table.unknown_name.unless(UnknownName::First),
            min_version: table.min_version.unless(TlsVersion::V12),
            clients,
            http2,
            handshake_timeout: table.handshake_timeout.unless(Duration::from_secs(10)),
            hsts: table.hsts.get().map(|at| at.value),
        };
        Some(At::new(tls, place))
    }

    fn certificate(&mut self, at: At<file::CertificateFiles>) -> Option<CertificateFiles> {
        let At { value: files, place } = at;
        let (certificate, key) = self.pair(files.certificate, files.key, &place)?;
        Some(CertificateFiles { certificate, key, ocsp: path(files.ocsp) })
    }

    /// A certificate and its key: one without the other is of no use.
    fn pair(
        &mut self,
        certificate: Key<Folder>,
        key: Key<Folder>,
        place: &Place,
    ) -> Option<(At<PathBuf>, At<PathBuf>)> {
        if certificate.is_absent() {
            self.wrong(place, "`certificate` is missing", "add `certificate = \"site.pem\"`");
        }
        if key.is_absent() {
            self.wrong(place, "`key` is missing", "add `key = \"site.key\"`, the certificate's private key");
        }
        Some((path(certificate)?, path(key)?))
    }

    /// How a pool's nodes are met. They are asked to be whom they are sent as Host, unless it is said otherwise.
    pub(super) fn node_tls(
        &mut self,
        table: Key<file::NodeTls>,
        host: &HostHeader,
        protocol: NodeProtocol,
    ) -> Option<At<NodeTls>> {
        let At { value: table, place } = table.get()?;
        let shows = !table.certificate.is_absent() || !table.key.is_absent();
        let shown = if shows { self.pair(table.certificate, table.key, &place) } else { None };
        let server_name = match (table.server_name, host) {
            (Key::Is(at), _) => {
                if ServerName::try_from(at.value.0.as_str()).is_err() {
                    let what = format!("{:?} is no name of a server", at.value.0);
                    self.wrong(&at.place, what, "write a DNS name or an IP address: \"api.example.com\"");
                }
                Some(At::new(at.value.0, at.place))
            }
            (_, HostHeader::Name(host)) => {
                let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
                ServerName::try_from(name).is_ok().then(|| At::new(name.to_owned(), place.clone()))
            }
            (_, HostHeader::Keep) => None,
        };
        Some(At::new(NodeTls { ca: path(table.ca), server_name, shown, protocol }, place))
    }
}

fn path(key: Key<Folder>) -> Option<At<PathBuf>> {
    key.get().map(|at| At::new(at.value.0, at.place))
}
