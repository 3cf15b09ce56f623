//! From the files that the configuration names to what handshakes need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tracing::warn;

use super::{FromFiles, With};
use crate::control::config::{
    At, CertificateFiles, ClientCertificate, Error, ListenerTls, NodeTls, Place, TlsVersion, UnknownName,
};
use crate::control::pem::{self, PemError};
use crate::transport::tls::{Asked, Certificate, ClientTls, Facts, ServerTls, Terms, Unknown};

impl FromFiles for ListenerTls {
    type Made = ServerTls;

    fn files(&self) -> Vec<&Path> {
        let pairs = self
            .certificates
            .iter()
            .flat_map(|files| [Some(&files.certificate), Some(&files.key), files.ocsp.as_ref()]);
        let files = pairs.flatten().chain(self.clients.as_ref().map(|clients| &clients.ca));
        let acme = self.acme.iter().map(|at| &at.value);
        let acme = acme.flat_map(|acme| acme.ca.iter().map(|ca| &ca.value).chain([&acme.kept]));
        files.map(|at| &at.value).chain(acme).map(PathBuf::as_path).collect()
    }

    fn make(&self, place: &Place, with: &With) -> Result<ServerTls, Error> {
        let mut certificates = self.certificates.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
        if let Some(acme) = &self.acme {
            // Only to see that it can be used: who asks the server reads it anew each time.
            acme.ca.as_ref().map(|ca| pem::roots(Some(&ca.value)).map_err(at(ca))).transpose()?;
            certificates.extend(kept(&acme.kept));
        }
        let asked = match &self.clients {
            Some(clients) => Some(Asked {
                roots: pem::roots(Some(&clients.ca)).map_err(at(&clients.ca))?,
                required: clients.certificate == ClientCertificate::Required,
            }),
            None => None,
        };
        let terms = Terms {
            unknown: match self.unknown_name {
                UnknownName::First => Unknown::First,
                UnknownName::Refuse => Unknown::Refuse,
            },
            only_newest: self.min_version == TlsVersion::V13,
            asked,
            client_certificate_field: self.clients.as_ref().is_some_and(|clients| clients.field),
            http2: self.http2,
            challenges: self.acme.as_ref().map(|_| Arc::clone(&with.challenges)),
            handshake_timeout: self.handshake_timeout,
            hsts: self.hsts.map(|age| format!("max-age={}", age.as_secs()).into_bytes().into()),
        };
        ServerTls::new(certificates, terms, &with.tickets)
            .map_err(|error| Error::new(place, format!("TLS cannot be set up: {error}")))
    }

    fn shown(made: &ServerTls) -> &[Facts] {
        &made.certificates
    }
}

impl FromFiles for NodeTls {
    type Made = ClientTls;

    fn files(&self) -> Vec<&Path> {
        let shown = self.shown.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.ca.iter().chain(shown).map(|at| at.value.as_path()).collect()
    }

    fn make(&self, place: &Place, _: &With) -> Result<ClientTls, Error> {
        let roots = match &self.ca {
            Some(ca) => pem::roots(Some(&ca.value)).map_err(at(ca))?,
            None => pem::roots(None).map_err(|error| wrong(place, &error))?,
        };
        let name = self.server_name.as_ref().and_then(|name| ServerName::try_from(name.value.clone()).ok());
        let shown = match &self.shown {
            Some((certificate, key)) => Some((
                pem::chain(certificate).map_err(at(certificate))?,
                pem::private_key(key).map_err(at(key))?,
            )),
            None => None,
        };
        ClientTls::new(roots, name, shown, self.protocol).map_err(|error| {
            let (certificate, key) = self.shown.as_ref().expect("nothing else can be wrong");
            misfit(certificate, key, &error)
        })
    }

    fn shown(made: &ClientTls) -> &[Facts] {
        made.shown.as_slice()
    }
}

fn certificate(files: &CertificateFiles) -> Result<Certificate, Error> {
    let ocsp = files.ocsp.as_ref().map(|file| pem::read(file).map_err(at(file))).transpose()?;
    let chain = pem::chain(&files.certificate).map_err(at(&files.certificate))?;
    let key = pem::private_key(&files.key).map_err(at(&files.key))?;
    Certificate::new(chain, key, ocsp).map_err(|error| misfit(&files.certificate, &files.key, &error))
}

/// What was got by ACME, if something was. What cannot be used of it is ordered anew, so it stops nothing.
fn kept(file: &Path) -> Option<Certificate> {
    if !file.exists() {
        return None;
    }
    let read = pem::chain(file).and_then(|chain| Ok((chain, pem::private_key(file)?)));
    let made = read
        .map_err(|error| error.to_string())
        .and_then(|(chain, key)| Certificate::new(chain, key, None).map_err(|error| error.to_string()));
    made.inspect_err(|why| {
        warn!("the certificate in {} that was got by ACME is not used: {why}", file.display())
    })
    .ok()
}

/// What is wrong with a file, at its place.
fn at(file: &At<PathBuf>) -> impl Fn(PemError) -> Error {
    |error| wrong(&file.place, &error)
}

fn wrong(place: &Place, error: &PemError) -> Error {
    Error::new(place, error.to_string()).note(error.advice())
}

fn misfit(certificate: &At<PathBuf>, key: &At<PathBuf>, error: &rustls::Error) -> Error {
    let what = format!("{} and {} do not fit: {error}", certificate.display(), key.display());
    Error::new(&certificate.place, what).note("name the certificate's own private key")
}
