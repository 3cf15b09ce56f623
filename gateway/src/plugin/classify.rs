//! Says what a file is, and turns a core module into a component.
//!
//! People drop all kinds of files into the plugin folder. Whatever is no plugin gets one sentence that says what it is
//! and what to do; nothing is guessed, and nothing is compiled before it is known.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::fault::LoadError;

const MAGIC: &[u8] = b"\0asm";
const ELF: &[u8] = b"\x7fELF";
/// What wasmtime writes as the operating system into the ELF files that it precompiles (byte 7 of the file).
const ELF_OF_WASMTIME: u8 = 200;
/// Bytes of code that are compiled: at the slowest that was measured, 1 MB/s, half a minute.
const MOST_CODE: u64 = 32 << 20;
/// The sum of the squares of the functions' sizes in bytes. Time grows with the square where a function branches much: one
/// of 1 MiB took 28 s, one of 275 KiB 2 s (`how_long_functions_of_a_size_take`). This is a function of 1.4 MiB, or a minute.
const MOST_SQUARES: u64 = 2 << 40;
/// How to get a file that is a plugin, for sentences.
const BUILD_ONE: &str =
    "build the plugin with `cargo build --release --target wasm32-wasip1` and put its .wasm file here";

/// What was seen of a file without compiling it.
#[derive(Default)]
struct Seen {
    component: bool,
    /// It carries the types that the SDK puts into a core module.
    typed: bool,
    command: bool,
    proxy_wasm: bool,
    /// Bytes of code, of the largest function, and the sum of the squares.
    code: u64,
    largest: u64,
    squares: u64,
}

/// The component in a file: the file itself, or what its core module becomes.
pub fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    let seen = look(bytes)?;
    if seen.proxy_wasm {
        return refuse(
            "this is a proxy-wasm filter, for Envoy and its kin; a Bascule plugin is written with the bascule-plugin SDK",
        );
    }
    if seen.command {
        return refuse(
            "this is a command with a main function; build a library instead (crate-type = [\"cdylib\"], no main)",
        );
    }
    seen.check_size()?;
    if seen.component {
        return Ok(Cow::Borrowed(bytes));
    }
    if !seen.typed {
        return refuse(
            "this is a WebAssembly module without Bascule's types; write it with the bascule-plugin SDK and its export! macro",
        );
    }
    ComponentEncoder::default()
        .module(bytes)
        .and_then(|encoder| encoder.adapter(ADAPTER_NAME, ADAPTER))
        .and_then(|encoder| encoder.validate(true).encode())
        .map(Cow::Owned)
        .map_err(|error| LoadError::Refused(format!("this module can not be made a component: {error:#}")))
}

fn refuse<T>(sentence: &str) -> Result<T, LoadError> {
    Err(LoadError::Refused(sentence.to_owned()))
}

fn look(bytes: &[u8]) -> Result<Seen, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if !bytes.starts_with(MAGIC) {
        return not_wasm(bytes);
    }
    if bytes.len() < 8 {
        return Err(LoadError::Truncated(bytes.len()));
    }
    let mut seen = Seen::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| broken(bytes, &error))?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CodeSectionEntry(body) => seen.measure(body.range().len() as u64),
            _ if depth == 0 => seen.note(&payload),
            _ => {}
        }
    }
    Ok(seen)
}

impl Seen {
    fn measure(&mut self, function: u64) {
        self.code += function;
        self.largest = self.largest.max(function);
        self.squares = self.squares.saturating_add(function.saturating_mul(function));
    }

    /// A compilation cannot be stopped, so what would take too long is not begun.
    fn check_size(&self) -> Result<(), LoadError> {
        if self.squares > MOST_SQUARES {
            let largest = self.largest >> 10;
            return refuse(&format!(
                "its functions are too large to be compiled in time: the largest has {largest} KiB of code; split it, or build with \
                 opt-level = \"s\" and less inlining"
            ));
        }
        if self.code > MOST_CODE {
            let (code, most) = (self.code >> 20, MOST_CODE >> 20);
            return refuse(&format!(
                "it has {code} MiB of code, and a plugin may have {most}; build it with opt-level = \"s\" and lto = true"
            ));
        }
        Ok(())
    }

    fn note(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::Version { encoding, .. } => {
                self.component = *encoding == wasmparser::Encoding::Component;
            }
            Payload::CustomSection(section) => self.typed |= section.name().starts_with("component-type"),
            Payload::ExportSection(exports) => {
                for export in exports.clone().into_iter().flatten() {
                    self.command |= export.name == "_start";
                    self.proxy_wasm |= export.name.starts_with("proxy_");
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone().into_iter().flatten() {
                    self.command |= export.name.name.starts_with("wasi:cli/run@");
                }
            }
            _ => {}
        }
    }
}

/// A file that starts like WebAssembly and does not go on like it.
fn broken(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> LoadError {
    // The parser has no other way to tell this case.
    if error.message().starts_with("unexpected end") || error.offset() >= bytes.len() {
        return LoadError::Truncated(bytes.len());
    }
    LoadError::Refused(format!("this is broken WebAssembly: {error}"))
}

fn not_wasm<T>(bytes: &[u8]) -> Result<T, LoadError> {
    if MAGIC.starts_with(bytes) {
        return Err(LoadError::Truncated(bytes.len()));
    }
    if bytes.starts_with(ELF) {
        return refuse(match bytes.get(7) {
            Some(&ELF_OF_WASMTIME) => {
                "this is a precompiled .cwasm, which is native code and never run; put the .wasm file here that it was made of"
            }
            _ => "this is native code, which is never run; put the .wasm file here instead",
        });
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]);
    let start = head.trim_start();
    if start.starts_with("(module") || start.starts_with("(component") {
        return refuse("this is WebAssembly as text; translate it with `wasm-tools parse` first");
    }
    if start.starts_with("version https://git-lfs") {
        return refuse("this is Git LFS's note of a file and not the file; fetch it with `git lfs pull`");
    }
    if start.starts_with('<') {
        return refuse(
            "this is a web page or XML, perhaps of a download that failed; download the .wasm file again",
        );
    }
    if !head.contains('\0') && !head.contains('\u{fffd}') {
        return refuse(&format!("this is a text file, not WebAssembly; {BUILD_ONE}"));
    }
    if bytes.starts_with(b"\x1f\x8b") || bytes.starts_with(b"PK") || bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        return refuse("this is a compressed file; unpack it and put the .wasm file here");
    }
    refuse(&format!("this is not WebAssembly: it does not start with \"\\0asm\"; {BUILD_ONE}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sentence(bytes: &[u8]) -> String {
        component(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_plugin_is_named() {
        for (bytes, words) in [
            (&b""[..], "empty"),
            (b"hello", "a text file, not WebAssembly; build the plugin"),
            (b"<!DOCTYPE html>", "a download that failed"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b" (module)", "WebAssembly as text"),
            (b"\x7fELF\x02\x01\x01", "native code, which is never run; put the .wasm file"),
            (b"\x7fELF\x02\x01\x01\xc8", "a precompiled .cwasm"),
            (b"\x1f\x8b\x08\0\0\0", "a compressed file; unpack it"),
            (b"\xde\xad\0\0", "not WebAssembly"),
            (b"\0as", "ends in the middle"),
            (b"\0asm\x01\0\0", "ends in the middle"),
            (b"\0asm\x01\0\0\0\x01\x20\x01", "ends in the middle"),
            (b"\0asm\x07\0\0\0", "broken"),
            (b"\0asm\x01\0\0\0", "without Bascule's types"),
        ] {
            let sentence = sentence(bytes);
            assert!(sentence.contains(words), "{bytes:?}: {sentence}");
        }
    }

    #[test]
    fn modules_for_other_hosts_are_named() {
        let module = |export: &str| {
            let wat = format!("(module (func (export \"{export}\")))");
            wat::parse_str(wat).unwrap()
        };
        assert!(sentence(&module("_start")).contains("a command"));
        assert!(sentence(&module("proxy_abi_version_0_2_1")).contains("proxy-wasm"));
    }

    #[test]
    fn what_would_take_too_long_to_compile_is_not_begun() {
        let module = |functions: usize, size: usize| {
            let function = format!("(func {})", "nop ".repeat(size));
            wat::parse_str(format!("(module {})", function.repeat(functions))).unwrap()
        };
        assert!(sentence(&module(1, 1_400_000)).contains("without Bascule's types"));
        assert!(
            sentence(&module(1, 1_600_000))
                .contains("too large to be compiled in time: the largest has 1562 KiB")
        );
        assert!(sentence(&module(3, 1_000_000)).contains("the largest has 976 KiB"));
        let mut seen = Seen { code: MOST_CODE, ..Seen::default() };
        assert!(seen.check_size().is_ok());
        seen.measure(1 << 20);
        assert!(seen.check_size().is_err_and(|error| error.to_string().contains("it has 33 MiB of code")));
    }

    #[test]
    fn a_file_that_is_being_copied_is_not_yet_rather_than_no() {
        let whole = wat::parse_str("(module (func (export \"f\")))").unwrap();
        for end in 0..whole.len() {
            let error = component(&whole[..end]).unwrap_err();
            // Between two sections the beginning of a module is a module.
            assert!(error.is_partial() || error.to_string().contains("types"), "{end}: {error}");
        }
        assert!(!component(&whole).unwrap_err().is_partial());
    }
}
