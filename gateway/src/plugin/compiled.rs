//! Compiled code that outlives the process: what was compiled of a plugin's functions, in one file for each plugin.
//!
//! Why functions and not whole modules: wasmtime's call to load a compiled module is `unsafe`, since it trusts the file,
//! and its own cache brings a C library and seven crates in a second version. Cranelift's cache of functions is safe to
//! feed, costs no dependency, and leaves only parsing and linking to be done again (figures in decision 17).
//! A file is named by the plugin's content and by everything that its code depends on: the compiler's version and
//! settings, and the processor's features. It carries a checksum, so that damage is seen; against an attacker only the
//! folder's 0700 helps, as with the program itself. Nothing here may fail a compilation.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sha2::{Digest, Sha256};

use super::module::Version;

/// What a file begins with.
const MAGIC: &[u8; 16] = b"bascule-code-01\n";
/// Bytes of the checksum behind it.
const SUM: usize = 32;
/// Files that are kept; the oldest go. A gateway has some dozens of plugins and three versions of each.
const MOST_FILES: usize = 512;

/// How much was compiled, and how much need not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compilations {
    /// Plugins that were turned into code in any way.
    pub modules: u64,
    /// Functions that the compiler worked on; not counted without a folder.
    pub functions: u64,
    /// Functions whose code was there already.
    pub reused: u64,
}

/// A compiled function by the hash of what it was compiled from.
type Code = HashMap<Box<[u8]>, Vec<u8>>;

thread_local! {
    /// The plugin that this thread compiles. Compiling stays on one thread, since wasmtime's parallel compilation is off.
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// Code of one plugin, while it is compiled.
struct Open {
    /// What the file holds and nobody asked for yet.
    kept: Code,
    /// What this compilation needed: the rest is of no use any more.
    needed: Code,
    is_new: bool,
}

/// What the compiler asks for each function.
#[derive(Debug, Default)]
pub(super) struct FunctionStore {
    functions: AtomicU64,
    reused: AtomicU64,
}

impl wasmtime::CacheStore for FunctionStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let found = OPEN.with_borrow_mut(|open| {
            let Open { kept, needed, .. } = open.as_mut()?;
            if let Some((key, code)) = kept.remove_entry(key) {
                needed.insert(key, code);
            }
            needed.get(key).cloned()
        });
        self.reused.fetch_add(u64::from(found.is_some()), Relaxed);
        found.map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.functions.fetch_add(1, Relaxed);
        OPEN.with_borrow_mut(|open| {
            let Some(open) = open else { return false };
            open.is_new = true;
            open.needed.insert(key.into(), value);
            true
        })
    }
}

/// The folder of compiled code.
pub(super) struct CompiledCode {
    folder: PathBuf,
    /// Stands for the compiler, its settings and the processor.
    environment: String,
    store: Arc<FunctionStore>,
}

impl CompiledCode {
    /// Takes a folder, and makes it if it is not there: nobody else may enter it.
    pub(super) fn open(
        folder: &Path,
        engine: &wasmtime::Engine,
        store: Arc<FunctionStore>,
    ) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let mut hasher = ShaHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let environment = hex(&hasher.0.finalize()[..8]);
        Ok(Self { folder: folder.to_owned(), environment, store })
    }

    /// Compiles a plugin, with what there is of its code, and keeps what was missing.
    pub(super) fn with<T>(&self, version: Version, compile: impl FnOnce() -> T) -> T {
        let path = self.folder.join(format!("{}-{}.code", hex(&version.bytes()[..16]), self.environment));
        let code = fs::read(&path).ok().and_then(|bytes| read(&bytes)).unwrap_or_default();
        OPEN.set(Some(Open { kept: code, needed: Code::new(), is_new: false }));
        let compiled = compile();
        if let Some(open) = OPEN.take().filter(|open| open.is_new)
            && let Err(error) = self.keep(&path, &open.needed)
        {
            tracing::warn!(version = %version, "compiled code cannot be kept: {error}");
        }
        compiled
    }

    /// Functions that were compiled, and those that were there.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.store.functions.load(Relaxed), self.store.reused.load(Relaxed))
    }

    fn keep(&self, path: &Path, code: &Code) -> io::Result<()> {
        self.make_room();
        let beside = path.with_extension("new");
        // No sync: what a crash tears apart fails its checksum and is compiled again.
        fs::write(&beside, written(code))?;
        fs::rename(beside, path)
    }

    fn make_room(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        let surplus = (files.len() + 1).saturating_sub(MOST_FILES);
        files.sort_unstable();
        for (_, path) in files.into_iter().take(surplus) {
            // Another gateway may have been quicker.
            let _gone = fs::remove_file(path);
        }
    }
}

/// Magic, checksum, and for each function its key and its code, each behind its length.
fn written(code: &Code) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[0; SUM]].concat();
    for (key, value) in code {
        for part in [&key[..], value] {
            bytes.extend((part.len() as u32).to_le_bytes());
            bytes.extend(part);
        }
    }
    let sum = Sha256::digest(&bytes[MAGIC.len() + SUM..]);
    bytes[MAGIC.len()..MAGIC.len() + SUM].copy_from_slice(&sum);
    bytes
}

fn read(bytes: &[u8]) -> Option<Code> {
    let (sum, mut rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(SUM)?;
    if Sha256::digest(rest)[..] != *sum {
        return None;
    }
    let mut code = Code::new();
    while !rest.is_empty() {
        let key = part(&mut rest)?.into();
        code.insert(key, part(&mut rest)?.to_vec());
    }
    Some(code)
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(part)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that is the same in every process.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let sum = self.0.clone().finalize();
        u64::from_le_bytes(sum[..8].try_into().expect("a SHA-256 is longer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(parts: &[(&str, &str)]) -> Code {
        parts.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn it_reads_what_it_writes_and_nothing_that_is_damaged() {
        let some = code(&[("a", "one"), ("b", ""), ("cc", "three")]);
        let bytes = written(&some);
        assert_eq!(read(&bytes), Some(some));
        assert_eq!(read(&written(&Code::new())), Some(Code::new()));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert_eq!(read(&damaged), None, "byte {place}");
            assert_eq!(read(&bytes[..place]), None, "{place} bytes");
        }
    }
}
