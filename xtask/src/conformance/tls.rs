//! TLS as openssl, sslscan and testssl.sh see it.

use super::ground::Ground;
use super::report::{Check, last_words};
use super::tool::{Ran, run};
use anyhow::Result;

/// Ends the connection behind the answer, so that tickets were read.
const REQUEST: &str = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
/// What this machine's openssl would not offer by itself.
const ANYTHING: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";

pub(super) fn openssl(ground: &Ground) -> Vec<Check> {
    let (place, certificate) =
        (format!("127.0.0.1:{}", ground.tls), ground.certificate().display().to_string());
    let client = |arguments: &[&str], input: &str| -> Ran {
        let always = ["s_client", "-connect", &place, "-servername", "localhost", "-CAfile", &certificate];
        run("openssl", &[&always, arguments].concat(), input)
    };
    let mut checks = Vec::new();
    for (name, arguments, parts) in [
        (
            "TLS 1.3 with X25519, a chain that verifies, and h2 by ALPN",
            &["-alpn", "h2,http/1.1"][..],
            &["TLSv1.3", "X25519", "Verify return code: 0 (ok)", "ALPN protocol: h2"][..],
        ),
        (
            "TLS 1.2, and HTTP/1.1 by ALPN",
            &["-tls1_2", "-alpn", "http/1.1"],
            &["TLSv1.2", "ALPN protocol: http/1.1"],
        ),
        (
            "a client without ALPN is served",
            &["-tls1_3"],
            &["No ALPN negotiated", "Verify return code: 0 (ok)"],
        ),
        (
            "a response of OCSP is stapled",
            &["-status"],
            &["OCSP Response Status: successful", "Cert Status: good"],
        ),
        (
            "extended master secret and secure renegotiation in TLS 1.2",
            &["-tls1_2"],
            &["Extended master secret: yes", "Secure Renegotiation IS supported"],
        ),
        ("no compression", &["-tls1_2"], &["Compression: NONE"]),
    ] {
        let ran = client(arguments, "");
        checks.push(Check::that(name, ran.says(parts), &ran.text));
    }
    for (name, arguments) in [
        ("TLS 1.1 is refused", &["-tls1_1", "-cipher", ANYTHING][..]),
        ("TLS 1.0 is refused", &["-tls1", "-cipher", ANYTHING]),
        ("an ALPN of which nothing is spoken is refused", &["-alpn", "spdy/3"]),
        ("RSA key exchange is refused", &["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"]),
        (
            "CBC is refused",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
        ),
        ("suites that authenticate nobody are refused", &["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"]),
        ("a curve that is not spoken is refused", &["-tls1_3", "-curves", "brainpoolP256r1:secp521r1"]),
    ] {
        let ran = client(arguments, "");
        checks.push(Check::that(name, !ran.ok && ran.has("alert"), &ran.text));
    }
    for version in ["-tls1_2", "-tls1_3"] {
        checks.push(resumes(ground, version, client));
    }
    let again = client(&["-tls1_2"], "R\n");
    let refused = !again.ok && again.has("RENEGOTIATING") && again.has("unexpected eof");
    checks.push(Check::that("a client's renegotiation is refused", refused, &again.text));
    checks
}

fn resumes(ground: &Ground, version: &str, client: impl Fn(&[&str], &str) -> Ran) -> Check {
    let session = ground.folder().join(format!("session{version}")).display().to_string();
    let first = client(&[version, "-ign_eof", "-sess_out", &session], REQUEST);
    let second = client(&[version, "-ign_eof", "-sess_in", &session], REQUEST);
    let name = format!("a session is resumed by its ticket (openssl s_client {version})");
    let right = first.says(&["New, ", "200 OK"]) && second.says(&["Reused, ", "200 OK"]);
    Check::that(&name, right, &second.text)
}

pub(super) fn sslscan(ground: &Ground) -> Vec<Check> {
    let ran = run("sslscan", &["--no-colour", "--show-sigs", &format!("127.0.0.1:{}", ground.tls)], "");
    let is = |protocol: &str, state: &str| {
        ran.text.lines().any(|line| line.split_whitespace().eq([protocol, state]))
    };
    let mut checks = Vec::new();
    for (protocol, state) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        checks.push(Check::that(&format!("sslscan: {protocol} is {state}"), is(protocol, state), &ran.text));
    }
    let suites: Vec<&str> = ran
        .text
        .lines()
        .filter(|line| line.starts_with("Accepted") || line.starts_with("Preferred"))
        .collect();
    let is_strong = |line: &&str| {
        ["GCM", "CHACHA20"].iter().any(|strong| line.contains(strong)) && !line.contains(" RSA")
    };
    let right = suites.len() >= 5 && suites.iter().all(is_strong);
    checks.push(Check::that(
        "sslscan: each suite is authenticated encryption with an ephemeral key",
        right,
        &suites.join("; "),
    ));
    checks.push(Check::that(
        "sslscan: Heartbleed finds nothing",
        ran.has("TLSv1.2 not vulnerable to heartbleed"),
        &ran.text,
    ));
    checks
}

/// Its findings by severity; what is said about a certificate that signs itself is left out.
pub(super) fn testssl(ground: &Ground) -> Result<Vec<Check>> {
    let file = ground.folder().join("testssl.json");
    let place = format!("127.0.0.1:{}", ground.tls);
    let shown = file.display().to_string();
    let parts = [
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "off",
        "-p",
        "-s",
        "-f",
        "-U",
        "--jsonfile",
        &shown,
        &place,
    ];
    let ran = run("testssl", &parts, "");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let findings: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    let of = |name: &str| findings.iter().filter(|finding| finding["severity"] == name).collect::<Vec<_>>();
    let mut checks = vec![Check::that(
        "testssl.sh plays protocols, suites, forward secrecy and vulnerabilities",
        findings.len() >= 30,
        &ran.text,
    )];
    for severity in ["CRITICAL", "HIGH", "MEDIUM", "LOW"] {
        let found: Vec<String> =
            of(severity).iter().map(|finding| format!("{}: {}", finding["id"], finding["finding"])).collect();
        checks.push(Check::that(
            &format!("testssl.sh: no finding of severity {severity}"),
            found.is_empty() && !findings.is_empty(),
            &last_words(&found.join("; ")),
        ));
    }
    Ok(checks)
}
