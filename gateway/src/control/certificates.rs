//! Certificates and keys: read, matched, and read again when their files change.
//!
//! A pair that does not fit leaves the one before in place, as long as the configuration names the same files: whoever
//! renews a certificate writes two files, and between the two nothing fits. Reading is for control's builder thread.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::config::{
    At, CertificateFiles, ClientCertificate, Config, Error, Errors, ListenerTls, NodeTls, TlsVersion,
    UnknownName,
};
use crate::name::Name;
use crate::transport::tls::{Asked, Certificate, ClientTls, ServerTls, Terms, Tickets, Unknown};

/// A file of certificates is small; this is no such file.
const LARGEST: usize = 1 << 20;

/// How listeners' clients and pools' nodes are met, by the names of those that have TLS.
#[derive(Clone, Default)]
pub(super) struct Secured {
    pub(super) listeners: BTreeMap<Name, Arc<ServerTls>>,
    pub(super) pools: BTreeMap<Name, Arc<ClientTls>>,
}

impl Secured {
    /// Whether all of it is what it was.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        fn same<T>(one: &BTreeMap<Name, Arc<T>>, two: &BTreeMap<Name, Arc<T>>) -> bool {
            one.keys().eq(two.keys())
                && one.values().zip(two.values()).all(|(one, two)| Arc::ptr_eq(one, two))
        }
        same(&self.listeners, &other.listeners) && same(&self.pools, &other.pools)
    }
}

/// What was made of files, and what can be made again.
pub(super) struct Certificates {
    tickets: Option<Tickets>,
    listeners: BTreeMap<Name, Made<ListenerTls, ServerTls>>,
    pools: BTreeMap<Name, Made<NodeTls, ClientTls>>,
}

/// What was made as it was wanted, and from which contents; those of the last try, if that failed.
struct Made<W, T> {
    wanted: W,
    contents: Hash,
    made: Arc<T>,
}

type Hash = [u8; 32];

/// What names files and can be made of them.
trait FromFiles: Clone + PartialEq {
    type Made;
    /// Every file that it names.
    fn files(&self) -> Vec<&At<PathBuf>>;
    fn make(&self, tickets: &Tickets) -> Result<Self::Made, Error>;
}

impl Certificates {
    /// Nothing is read yet.
    pub(super) fn new() -> Self {
        Self { tickets: None, listeners: BTreeMap::new(), pools: BTreeMap::new() }
    }

    /// Reads what a configuration names; what did not change stays what it is.
    pub(super) fn load(&mut self, config: &Config, errors: &mut Vec<Error>) -> Secured {
        let listeners =
            config.listeners.iter().filter_map(|(name, listener)| Some((name, listener.tls.as_ref()?)));
        let pools = config.pools.iter().filter_map(|(name, pool)| Some((name, pool.tls.as_ref()?)));
        let (listeners, pools): (Vec<_>, Vec<_>) = (listeners.collect(), pools.collect());
        if listeners.is_empty() && pools.is_empty() {
            return Secured::default();
        }
        let tickets = match &self.tickets {
            Some(tickets) => tickets.clone(),
            None => match Tickets::new() {
                Ok(tickets) => self.tickets.insert(tickets).clone(),
                Err(error) => {
                    let place = listeners
                        .first()
                        .map(|(_, tls)| &tls.place)
                        .or(pools.first().map(|(_, tls)| &tls.place));
                    let what = format!("TLS cannot be used on this machine: {error}");
                    errors.extend(place.map(|place| Error::new(place, what)));
                    return Secured::default();
                }
            },
        };
        Secured {
            listeners: load_all(&mut self.listeners, "listener", &listeners, &tickets, errors),
            pools: load_all(&mut self.pools, "pool", &pools, &tickets, errors),
        }
    }

    /// Whether a file has another content than when it was read.
    pub(super) fn changed(&self) -> bool {
        self.listeners.values().any(|made| hash(&made.wanted) != made.contents)
            || self.pools.values().any(|made| hash(&made.wanted) != made.contents)
    }

    /// The files that were read.
    pub(super) fn files(&self) -> BTreeSet<&Path> {
        let listeners = self.listeners.values().flat_map(|made| made.wanted.files());
        let pools = self.pools.values().flat_map(|made| made.wanted.files());
        listeners.chain(pools).map(|at| at.value.as_path()).collect()
    }
}

/// Reads all certificates that a configuration names: a part of `bascule check`.
///
/// # Errors
/// Each that cannot be read or does not fit.
pub fn check_certificates(config: &Config) -> Result<(), Errors> {
    let mut errors = Vec::new();
    Certificates::new().load(config, &mut errors);
    Errors::from_list(errors).map_or(Ok(()), Err)
}

fn load_all<W: FromFiles>(
    made: &mut BTreeMap<Name, Made<W, W::Made>>,
    kind: &str,
    wanted: &[(&Name, &At<W>)],
    tickets: &Tickets,
    errors: &mut Vec<Error>,
) -> BTreeMap<Name, Arc<W::Made>> {
    made.retain(|name, _| wanted.iter().any(|(wanted, _)| *wanted == name));
    let mut all = BTreeMap::new();
    for (name, wanted) in wanted {
        let contents = hash(&wanted.value);
        let earlier = made.get_mut(*name).filter(|earlier| earlier.wanted == wanted.value);
        if let Some(same) = earlier.as_ref().filter(|earlier| earlier.contents == contents) {
            all.insert((*name).clone(), Arc::clone(&same.made));
            continue;
        }
        match (wanted.value.make(tickets), earlier) {
            (Ok(new), earlier) => {
                if earlier.is_some() {
                    info!("{kind} {name}: new certificates took over");
                }
                let new = Made { wanted: wanted.value.clone(), contents, made: Arc::new(new) };
                all.insert((*name).clone(), Arc::clone(&new.made));
                made.insert((*name).clone(), new);
            }
            (Err(error), Some(earlier)) => {
                warn!(
                    "{kind} {name}: new certificates are not used, and those before stay: {}",
                    error.line()
                );
                earlier.contents = contents;
                all.insert((*name).clone(), Arc::clone(&earlier.made));
            }
            (Err(error), None) => errors.push(error),
        }
    }
    all
}

/// What stands in all of the files, and which of them cannot be read.
fn hash<W: FromFiles>(wanted: &W) -> Hash {
    let mut all = Sha256::new();
    for file in wanted.files() {
        match read(&file.value) {
            Ok(content) => {
                all.update((content.len() as u64).to_be_bytes());
                all.update(content);
            }
            Err(_) => all.update(u64::MAX.to_be_bytes()),
        }
    }
    all.finalize().into()
}

impl FromFiles for ListenerTls {
    type Made = ServerTls;

    fn files(&self) -> Vec<&At<PathBuf>> {
        let pairs = self
            .certificates
            .iter()
            .flat_map(|files| [Some(&files.certificate), Some(&files.key), files.ocsp.as_ref()]);
        pairs.flatten().chain(self.clients.as_ref().map(|clients| &clients.ca)).collect()
    }

    fn make(&self, tickets: &Tickets) -> Result<ServerTls, Error> {
        let certificates = self.certificates.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
        let asked = match &self.clients {
            Some(clients) => Some(Asked {
                roots: roots(&clients.ca)?,
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
            http2: self.http2,
            handshake_timeout: self.handshake_timeout,
            hsts: self.hsts.map(|age| format!("max-age={}", age.as_secs()).into_bytes().into()),
        };
        ServerTls::new(certificates, terms, tickets).map_err(|error| {
            let first = self.certificates.first().expect("a configuration without any is refused");
            Error::new(&first.certificate.place, format!("TLS cannot be set up: {error}"))
        })
    }
}

impl FromFiles for NodeTls {
    type Made = ClientTls;

    fn files(&self) -> Vec<&At<PathBuf>> {
        let shown = self.shown.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.ca.iter().chain(shown).collect()
    }

    fn make(&self, _: &Tickets) -> Result<ClientTls, Error> {
        let roots = match &self.ca {
            Some(ca) => roots(ca)?,
            None => system_roots(),
        };
        let name = self.server_name.as_ref().and_then(|name| ServerName::try_from(name.value.clone()).ok());
        let shown = match &self.shown {
            Some((certificate, key)) => Some((chain(certificate)?, private_key(key)?)),
            None => None,
        };
        ClientTls::new(roots, name, shown, self.protocol).map_err(|error| {
            let (certificate, key) = self.shown.as_ref().expect("nothing else can be wrong");
            misfit(certificate, key, &error)
        })
    }
}

fn certificate(files: &CertificateFiles) -> Result<Certificate, Error> {
    let ocsp = files
        .ocsp
        .as_ref()
        .map(|file| read(&file.value).map_err(|error| unreadable(file, &error)))
        .transpose()?;
    let made = Certificate::new(chain(&files.certificate)?, private_key(&files.key)?, ocsp);
    made.map_err(|error| misfit(&files.certificate, &files.key, &error))
}

fn chain(file: &At<PathBuf>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let content = read(&file.value).map_err(|error| unreadable(file, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(Error::new(&file.place, format!("there is no certificate in {}", file.display()))
            .note("it has to be PEM: \"-----BEGIN CERTIFICATE-----\", the site's own first")),
    }
}

fn private_key(file: &At<PathBuf>) -> Result<PrivateKeyDer<'static>, Error> {
    let content = read(&file.value).map_err(|error| unreadable(file, &error))?;
    PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        Error::new(&file.place, format!("there is no private key in {}", file.display()))
            .note("it has to be PEM and not encrypted: \"-----BEGIN PRIVATE KEY-----\"")
    })
}

fn roots(file: &At<PathBuf>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(chain(file)?);
    if added == 0 {
        let what = format!("no certificate in {} can be an authority's", file.display());
        return Err(Error::new(&file.place, what).note("name the file with the authority's certificate"));
    }
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        warn!("the system has no authorities, so no node under TLS can be believed; name a file with `ca`");
    }
    roots
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = std::fs::metadata(path)?.len();
    if length > LARGEST as u64 {
        return Err(io::Error::other(format!("it has {length} bytes, and 1 MiB is the most")));
    }
    std::fs::read(path)
}

fn unreadable(file: &At<PathBuf>, error: &io::Error) -> Error {
    Error::new(&file.place, format!("{} cannot be read: {error}", file.display()))
        .note("create it, readable for the gateway, or name another")
}

fn misfit(certificate: &At<PathBuf>, key: &At<PathBuf>, error: &rustls::Error) -> Error {
    let what = format!("{} and {} do not fit: {error}", certificate.display(), key.display());
    Error::new(&certificate.place, what).note("name the certificate's own private key")
}
