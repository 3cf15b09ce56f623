//! Log lines of the gateway, which carry the use's name and the request's id by themselves.

use crate::host::log::{Level, write};

/// Writes a line that only a trace of everything shows.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref());
}

/// Writes a line for whoever debugs this plugin.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Writes a line about something worth knowing.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Writes a line about something that wants a look.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Writes a line about something that failed.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}
