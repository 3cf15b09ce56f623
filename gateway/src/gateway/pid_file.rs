//! A file that says which process the gateway is, for scripts and service managers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file, for as long as this process is the one that it names.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes this process's number, whole: whoever reads meanwhile sees the one before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(path: &Path) -> io::Result<PidFile> {
        let beside = path.with_extension("new");
        fs::write(&beside, format!("{}\n", std::process::id()))?;
        fs::rename(&beside, path)?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let names_us =
            fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == std::process::id().to_string());
        if names_us {
            // What cannot be removed names a process that is gone, which readers have to expect anyway.
            let _stays = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_goes_with_the_process_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bascule.pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "a successor wrote it");
    }
}
