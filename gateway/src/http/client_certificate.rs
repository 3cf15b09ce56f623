//! What a client's certificate says (RFC 5280): for plugins, and as the field that nodes get (RFC 9440).
//!
//! It is read once a handshake, which has found it good; nothing here judges it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, GeneralName, X509Certificate, X509Name};

/// The attributes that have a short name (RFC 4514, 3); all others are written by number.
const SHORT: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// A client's certificate, as others are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    fingerprint: String,
    names: Vec<(&'static str, String)>,
    field: Vec<u8>,
}

impl ClientCertificate {
    /// Reads a certificate in DER. What cannot be read of it stays empty: names that nobody has.
    pub fn new(der: &[u8]) -> ClientCertificate {
        let mut told = ClientCertificate {
            fingerprint: hexadecimal(&Sha256::digest(der)),
            field: format!(":{}:", BASE64_STANDARD.encode(der)).into_bytes(),
            ..ClientCertificate::default()
        };
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            told.subject = distinguished_name(certificate.subject());
            if let Ok(Some(names)) = certificate.subject_alternative_name() {
                told.names = names.value.general_names.iter().filter_map(alternative_name).collect();
            }
        }
        told
    }

    /// Its subject as RFC 4514 writes it, the most particular part first: `CN=shop,O=Example`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The SHA-256 of its DER, in 64 lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its subject alternative names of a kind: `dns`, `uri`, `email` or `ip`.
    pub fn names<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().filter(move |(of, _)| *of == kind).map(|(_, name)| name.as_str())
    }

    /// The value of Client-Cert (RFC 9440, 2.2).
    pub fn field(&self) -> &[u8] {
        &self.field
    }
}

fn alternative_name(name: &GeneralName<'_>) -> Option<(&'static str, String)> {
    Some(match name {
        GeneralName::DNSName(name) => ("dns", (*name).to_owned()),
        GeneralName::URI(name) => ("uri", (*name).to_owned()),
        GeneralName::RFC822Name(name) => ("email", (*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            let v6 = || <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            ("ip", v4.or_else(|_| v6()).ok()?)
        }
        _ => return None,
    })
}

/// A name as text that is another for each name, so that no value can pass for two (RFC 4514, 2).
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(of, _)| *of == number).map(|(_, short)| *short);
    match (short, attribute.as_str()) {
        (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
        (short, _) => {
            let value = attribute.attr_value();
            let encoded = encoded(value.tag().0, value.data);
            format!("{}=#{}", short.unwrap_or(&number), hexadecimal(&encoded))
        }
    }
}

/// RFC 4514, 2.4.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (place, letter) in value.chars().enumerate() {
        let is_special = matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || letter == ' ' && (place == 0 || place == last)
            || letter == '#' && place == 0;
        if letter.is_control() {
            let mut bytes = [0; 4];
            letter.encode_utf8(&mut bytes).bytes().for_each(|byte| text.push_str(&format!("\\{byte:02x}")));
            continue;
        }
        if is_special {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// A value that is no text, as it stands in the certificate: tag, length, content (X.690, 8.1).
fn encoded(tag: u32, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut all = vec![tag as u8];
    match length {
        0..128 => all.push(length as u8),
        128..256 => all.extend([0x81, length as u8]),
        // A handshake's certificates are far below 64 KiB.
        _ => all.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    all.extend_from_slice(content);
    all
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, ClientCertificate) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let read = ClientCertificate::new(&der);
        (der, read)
    }

    #[test]
    fn names_are_told_by_kind() {
        let (_, read) = made(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("shop.example".try_into().unwrap()),
                SanType::URI("spiffe://example/shop".try_into().unwrap()),
                SanType::Rfc822Name("shop@example".try_into().unwrap()),
                SanType::IpAddress([192, 0, 2, 1].into()),
                SanType::IpAddress([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
            ];
        });
        let names = |kind| read.names(kind).collect::<Vec<_>>();
        assert_eq!(names("dns"), ["shop.example"]);
        assert_eq!(names("uri"), ["spiffe://example/shop"]);
        assert_eq!(names("email"), ["shop@example"]);
        assert_eq!(names("ip"), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(names("other"), [""; 0]);
        assert_eq!(read.subject(), "");
    }

    #[test]
    fn no_value_can_pass_for_another_part_of_the_subject() {
        let (_, read) = made(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "Example, O=Admin+x");
            params.distinguished_name.push(DnType::CommonName, "#a\\b\n ");
        });
        assert_eq!(read.subject(), r"CN=\#a\\b\0a\ ,O=Example\, O=Admin\+x");
    }

    #[test]
    fn what_is_no_text_is_told_as_it_stands() {
        let (_, read) = made(|params| {
            let email = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
            params.distinguished_name.push(email, DnValue::Utf8String("a@b".into()));
        });
        assert_eq!(read.subject(), "1.2.840.113549.1.9.1=#0c03614062");
    }

    #[test]
    fn the_field_is_the_certificate_and_the_fingerprint_its_hash() {
        let (der, read) = made(|_| {});
        let field = std::str::from_utf8(read.field()).unwrap();
        let inner = field.strip_prefix(':').and_then(|field| field.strip_suffix(':')).unwrap();
        assert_eq!(BASE64_STANDARD.decode(inner).unwrap(), der);
        let hash: Vec<u8> = Sha256::digest(&der).to_vec();
        assert_eq!(read.fingerprint(), hexadecimal(&hash));
    }

    #[test]
    fn what_cannot_be_read_has_no_names() {
        let read = ClientCertificate::new(b"no certificate");
        assert_eq!((read.subject(), read.names("dns").count()), ("", 0));
        assert_eq!(read.fingerprint().len(), 64);
    }
}
