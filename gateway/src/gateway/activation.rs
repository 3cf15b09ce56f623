//! Sockets that a service manager opened for the gateway (systemd's socket activation, sd_listen_fds(3)).

use std::env;
use std::io;

use listenfd::ListenFd;

use crate::transport::ports::{Handed, Owner};

/// The sockets that were passed to this process, with their names. To be called before any thread is started: the
/// variables that tell of them are taken out of the environment, so that no child takes them for its own.
///
/// # Errors
/// What was passed is no TCP socket.
pub fn sockets() -> io::Result<Vec<Handed>> {
    // Only if they are for this process.
    let is_told = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !is_told {
        return Ok(Vec::new());
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for place in 0..passed.len() {
        // By default it is the unit's name, which no listener can have.
        let name = names.next().and_then(|name| name.parse().ok());
        let owner = name.map_or(Owner::Anyone, Owner::Listener);
        let Some(socket) = passed.take_tcp_listener(place)? else { continue };
        let address = socket.local_addr()?;
        sockets.push(Handed { number: 0, owner, address, is_held: true, sockets: vec![socket] });
    }
    Ok(sockets)
}
