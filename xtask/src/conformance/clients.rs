//! Clients that everybody has: curl, nghttp and h2load.

use super::ground::Ground;
use super::report::Check;
use super::tool::{Ran, run};
use anyhow::Result;

/// What curl prints of each transfer.
const TOLD: &str = "%{http_code} %{http_version} %{size_download} %{num_connects}\n";

pub(super) fn curl(ground: &Ground) -> Result<Vec<Check>> {
    let (plain, tls) =
        (format!("http://127.0.0.1:{}", ground.plain), format!("https://localhost:{}", ground.tls));
    let upload = ground.folder().join("upload");
    std::fs::write(&upload, vec![b'u'; 5_000_000])?;
    let (certificate, resolve) =
        (ground.certificate().display().to_string(), format!("localhost:{}:127.0.0.1", ground.tls));
    let curl = |arguments: &[&str]| -> Ran {
        let always = [
            "-sS",
            "--max-time",
            "60",
            "-o",
            "/dev/null",
            "-w",
            TOLD,
            "--cacert",
            &certificate,
            "--resolve",
            &resolve,
        ];
        run("curl", &[&always, arguments].concat(), "")
    };
    let (plain_large, tls_large) = (format!("{plain}/large"), format!("{tls}/large"));
    let from_file = format!("@{}", upload.display());
    // curl 7.88 takes the end of an upload that nobody wants (RST_STREAM, NO_ERROR) for an error, so the node reads all of it.
    let (plain_upload, tls_upload) = (format!("{plain}/upload"), format!("{tls}/upload"));
    let chunked =
        ["--http1.1", "-H", "Transfer-Encoding: chunked", "--data-binary", &from_file, &plain_upload];
    let twice = ["--http1.1", &plain, "-o", "/dev/null", &plain];
    let expected: [(&str, &[&str], &str); 11] = [
        ("curl gets a million bytes by HTTP/1.1", &["--http1.1", &plain_large], "200 1.1 1000000 1"),
        ("curl gets a million bytes by HTTP/1.0", &["--http1.0", &plain_large], "200 1.1 1000000 1"),
        (
            "curl gets a million bytes by HTTP/2 in the clear",
            &["--http2-prior-knowledge", &plain_large],
            "200 2 1000000 1",
        ),
        ("curl gets a million bytes by HTTP/1.1 under TLS", &["--http1.1", &tls_large], "200 1.1 1000000 1"),
        ("curl gets a million bytes by HTTP/2 under TLS", &["--http2", &tls_large], "200 2 1000000 1"),
        ("curl gets a page under TLS 1.2", &["--tls-max", "1.2", &tls], "200 2 19 1"),
        ("curl asks for a head", &["--http1.1", "-I", &plain_large], "200 1.1 0 1"),
        ("curl asks twice on one connection", &twice, "200 1.1 19 0"),
        (
            "curl sends five million bytes by HTTP/1.1, and waits for 100",
            &["--http1.1", "-T", &upload.display().to_string(), &plain_upload],
            "200 1.1 19 1",
        ),
        ("curl sends five million bytes in chunks", &chunked, "200 1.1 19 1"),
        (
            "curl sends five million bytes by HTTP/2",
            &["--http2", "--data-binary", &from_file, &tls_upload],
            "200 2 19 1",
        ),
    ];
    let mut checks: Vec<Check> = expected
        .into_iter()
        .map(|(name, arguments, told)| {
            let ran = curl(arguments);
            Check::that(name, ran.says(&[told]), &ran.text)
        })
        .collect();
    let old = curl(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &tls]);
    checks.push(Check::that(
        "curl gets nothing under TLS 1.1",
        !old.ok && old.text.starts_with("000"),
        &old.text,
    ));
    let no_upgrade = curl(&["--http2", &plain]);
    checks.push(Check::that(
        "an upgrade to h2c is not taken, and answered by HTTP/1.1",
        no_upgrade.says(&["200 1.1 19"]),
        &no_upgrade.text,
    ));
    Ok(checks)
}

pub(super) fn nghttp(ground: &Ground) -> Result<Vec<Check>> {
    let (plain, tls) =
        (format!("http://127.0.0.1:{}/", ground.plain), format!("https://127.0.0.1:{}/", ground.tls));
    let (large, plain_upload) = (format!("{plain}large"), format!("{plain}upload"));
    let upload = ground.folder().join("upload-nghttp");
    std::fs::write(&upload, vec![b'u'; 5_000_000])?;
    let upload = upload.display().to_string();
    let mut checks = Vec::new();
    for (name, arguments, statuses) in [
        ("nghttp gets a page in the clear", &["-nv", &*plain][..], 1),
        ("nghttp gets a page under TLS", &["-nvy", &tls], 1),
        ("nghttp gets twenty pages at once", &["-nv", "-m", "20", &plain], 20),
        (
            "nghttp gets ten million bytes by windows of 16 KiB",
            &["-nv", "-w", "14", "-W", "14", "-m", "10", &large],
            10,
        ),
        (
            "nghttp gets an answer that does not wait for its five million bytes",
            &["-nv", "-d", &upload, &plain],
            1,
        ),
        (
            "nghttp sends five million bytes and a trailer",
            &["-nv", "-d", &upload, "--trailer", "x-sum: 1", &plain_upload],
            1,
        ),
        ("nghttp sends fields in CONTINUATION frames", &["-nv", "--continuation", &plain], 1),
        ("nghttp sends padded frames", &["-nv", "-b", "200", &plain], 1),
    ] {
        let ran = run("nghttp", arguments, "");
        let right =
            ran.ok && ran.text.matches(":status: 200").count() == statuses && !ran.has("PROTOCOL_ERROR");
        checks.push(Check::that(name, right, &ran.text));
    }
    Ok(checks)
}

pub(super) fn h2load(ground: &Ground) -> Vec<Check> {
    let (plain, tls) =
        (format!("http://127.0.0.1:{}/", ground.plain), format!("https://127.0.0.1:{}/", ground.tls));
    let large = format!("{tls}large");
    let mut checks = Vec::new();
    for (name, count, arguments) in [
        (
            "h2load: no request of 20,000 fails, 8 connections x 32 streams in the clear",
            20_000,
            &["-n20000", "-c8", "-m32", &*plain][..],
        ),
        (
            "h2load: no request of 20,000 fails, 8 connections x 32 streams under TLS",
            20_000,
            &["-n20000", "-c8", "-m32", &tls],
        ),
        (
            "h2load: no request of 20,000 fails, 64 connections of HTTP/1.1",
            20_000,
            &["-n20000", "-c64", "--h1", &plain],
        ),
        (
            "h2load: no request of 500 for a million bytes fails, 4 connections x 16 streams under TLS",
            500,
            &["-n500", "-c4", "-m16", &large],
        ),
    ] {
        let ran = run("h2load", arguments, "");
        let told = format!(
            "{count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout"
        );
        let statuses = format!("{count} 2xx, 0 3xx, 0 4xx, 0 5xx");
        checks.push(Check::that(name, ran.says(&[&told, &statuses]), &ran.text));
    }
    checks
}
