//! Writes the seeds of one target into a folder: `seeds TARGET FOLDER`.

use std::fs;
use std::io::{Error, Result};
use std::path::Path;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(target), Some(folder)) = (words.next(), words.next()) else {
        return Err(Error::other("write: seeds TARGET FOLDER"));
    };
    fs::create_dir_all(&folder)?;
    for (number, seed) in bascule_fuzz::seeds::of(&target).iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}
