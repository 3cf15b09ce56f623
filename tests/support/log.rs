//! What gateways in this process log about plugins.
//!
//! All gateways of all tests share one log, so a test gives its use a name of its own and reads the lines with that.

use serde_json::Value;
use std::io;
use std::sync::{Mutex, OnceLock};

/// Complete lines, each a JSON object.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().expect("a writer never panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps from now on what is logged about plugins. What was logged before is lost, so a test begins with it.
pub fn keep_log() {
    static KEPT: OnceLock<()> = OnceLock::new();
    KEPT.get_or_init(|| {
        let filter = tracing_subscriber::EnvFilter::new("off,plugin=info");
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines);
        lines.json().flatten_event(true).try_init().expect("no other test logs");
    });
}

/// The lines about a use, in order; a field of one is read by its name, the words are "message".
pub fn logged(plugin: &str) -> Vec<Value> {
    let lines = LINES.lock().expect("a writer never panics");
    let lines = lines.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    lines.filter(|line: &Value| line["plugin"] == plugin).collect()
}
