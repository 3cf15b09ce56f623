//! An authority that makes certificates, and a client that speaks TLS: whatever it sends and reads is plain text here.

use super::wire::PATIENCE;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A certificate authority with a folder for what it makes.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one, which nobody believes yet.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Authority { issuer, folder }
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a certificate for these names as STEM.pem and its key as STEM.key; answers where, as a configuration's
    /// table.
    pub fn issue(&self, stem: &str, names: &[&str]) -> String {
        self.issue_into(self.folder.path(), stem, names)
    }

    /// The same, with an end: year, month and day.
    pub fn issue_until(&self, stem: &str, names: &[&str], end: (i32, u8, u8)) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
        self.sign_into(self.folder.path(), stem, &params)
    }

    /// Writes a client's certificate with this common name and URI.
    pub fn issue_client(&self, stem: &str, common_name: &str, uri: &str) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("ASCII"))];
        self.sign_into(self.folder.path(), stem, &params);
    }

    /// The same into another folder.
    pub fn issue_into(&self, folder: &Path, stem: &str, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign_into(folder, stem, &CertificateParams::new(names).expect("names"))
    }

    /// Signs what is wished, and writes it with a key of its own.
    fn sign_into(&self, folder: &Path, stem: &str, params: &CertificateParams) -> String {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let path = |end: &str| folder.join(format!("{stem}.{end}"));
        fs::write(path("pem"), certificate.pem()).expect("written");
        fs::write(path("key"), key.serialize_pem()).expect("written");
        format!("{{ certificate = {:?}, key = {:?} }}", path("pem"), path("key"))
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Clients that believe it.
    pub fn client(&self) -> TlsWish {
        TlsWish::believing(self.issuer.der().clone())
    }
}

/// How clients are to speak.
pub struct TlsWish {
    roots: RootCertStore,
    shown: Option<PathBuf>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
}

/// Clients that speak so, and resume what they had.
pub struct TlsClients {
    config: Arc<ClientConfig>,
}

impl TlsWish {
    /// They believe what this root signed.
    pub fn believing(root: CertificateDer<'static>) -> TlsWish {
        let mut roots = RootCertStore::empty();
        roots.add(root).expect("a certificate");
        TlsWish {
            roots,
            shown: None,
            versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
            protocols: vec![b"http/1.1".to_vec()],
        }
    }

    /// It shows STEM.pem of an authority's folder.
    pub fn showing(self, stem: &Path) -> TlsWish {
        TlsWish { shown: Some(stem.to_owned()), ..self }
    }

    /// It offers these protocols.
    pub fn speaking(self, protocols: &[&str]) -> TlsWish {
        TlsWish { protocols: protocols.iter().map(|name| name.as_bytes().to_vec()).collect(), ..self }
    }

    /// It speaks TLS 1.2 and nothing newer.
    pub fn old(self) -> TlsWish {
        TlsWish { versions: vec![&rustls::version::TLS12], ..self }
    }

    /// Settled: what connects.
    pub fn build(self) -> TlsClients {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .with_root_certificates(self.roots);
        let mut config = match self.shown {
            Some(stem) => {
                let chain = CertificateDer::pem_file_iter(stem.with_extension("pem")).expect("a file");
                let key = PrivateKeyDer::from_pem_file(stem.with_extension("key")).expect("a key");
                let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
                builder.with_client_auth_cert(chain, key).expect("they fit")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols;
        TlsClients { config: Arc::new(config) }
    }
}

impl TlsClients {
    /// What they speak by, for clients on a runtime.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Connects and asks for this name.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<TlsConnection> {
        self.connect_behind(b"", address, name)
    }

    /// The same after other bytes.
    pub fn connect_behind(&self, first: &[u8], address: SocketAddr, name: &str) -> io::Result<TlsConnection> {
        let mut tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
        tcp.write_all(first)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let session = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(TlsConnection { stream })
    }

    /// One GET on a connection of its own: its whole answer.
    pub fn get(&self, address: SocketAddr, name: &str, path: &str) -> io::Result<String> {
        self.connect(address, name)?
            .ask(&format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"))
    }
}

/// A connection after its handshake.
pub struct TlsConnection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsConnection {
    /// Which version it speaks.
    pub fn version(&self) -> ProtocolVersion {
        self.stream.conn.protocol_version().expect("it is after the handshake")
    }

    /// Which protocol was agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.conn.alpn_protocol()
    }

    /// Whether it took up an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What it was shown.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().expect("one was shown")[0].to_vec()
    }

    /// Sends a request that ends the connection; everything that comes, up to an end that TLS vouches for.
    pub fn ask(&mut self, request: &str) -> io::Result<String> {
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends bytes and reads until so many came.
    pub fn exchange(&mut self, request: &[u8], least: usize) -> io::Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        while answer.len() < least {
            match self.stream.read(&mut buffer)? {
                0 => break,
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(answer)
    }
}
