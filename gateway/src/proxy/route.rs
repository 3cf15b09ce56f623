//! Second step: find the route.

use super::error::Error;
use super::exchange::{Answer, Exchange};
use super::handshake::Handshake;
use super::timeouts::Limit;
use crate::http::BodyLength;
use crate::http::h1::Malformed;
use crate::snapshot::routes::without_port;

impl Exchange<'_> {
    /// Where the listener sends all its clients, if it serves none: to the same place under HTTPS, with the same method
    /// (RFC 9110, 15.4.9).
    pub(super) fn redirect(&mut self) -> Option<Answer> {
        let place = self.view.snapshot.listener_of(self.connection.listener.id)?;
        let port = self.view.snapshot.listeners[usize::from(place)].redirect?;
        let context = self.context_mut();
        let mut location = b"https://".to_vec();
        location.extend_from_slice(without_port(context.request.authority()));
        if port != 443 {
            location.extend_from_slice(format!(":{port}").as_bytes());
        }
        // `OPTIONS *` asks for no place.
        let path = context.request.path();
        location.extend_from_slice(path.strip_prefix(b"*").unwrap_or(path));
        context.reply.fields.push((b"location"[..].into(), location.into()));
        Some(Answer::Plugin(308))
    }

    /// Finds the route by listener, host, path, method and fields.
    pub(super) fn find_route(&mut self) -> Result<(), Error> {
        self.refuse_misdirected()?;
        let view = self.view;
        let context = self.context.as_mut().expect("no plugin was called yet");
        let listener = view.snapshot.listener_of(self.connection.listener.id).ok_or(Error::NoRoute)?;
        let route = view.snapshot.routes.find(listener, &context.request).ok_or(Error::NoRoute)?;
        context.set_route(&view.routes[route.index as usize].name);
        context.set_pool(&view.pools[route.pool as usize].name);
        self.route = Some(route);
        self.pool = route.pool;
        let total = self.total_limit(route.total_timeout);
        let deadline = &self.connection.deadline;
        self.timeouts.start(Limit::Answer, Some(route.timeout), deadline);
        self.timeouts.start(Limit::Total, total, deadline);
        if let Some(filter) = &route.broken {
            return Err(Error::PluginFault(filter.to_string()));
        }
        match (self.framing.body, route.max_body) {
            // One in chunks is counted as it comes.
            (BodyLength::Known(length), Some(most)) if length > most => {
                Err(Error::BadRequest(Malformed::BodyTooLarge))
            }
            _ => Ok(()),
        }
    }

    /// A client asks for a host on a connection whose certificate is another host's (RFC 9110, 15.5.20): what is asked of
    /// clients may be another thing there.
    fn refuse_misdirected(&self) -> Result<(), Error> {
        let Some(Handshake { tls, name: Some(name), .. }) = self.connection.secure.as_deref() else {
            return Ok(());
        };
        let host = without_port(self.context().request.authority());
        let is_for = std::str::from_utf8(host).is_ok_and(|host| tls.is_for(name, host));
        if is_for { Ok(()) } else { Err(Error::Misdirected) }
    }
}
