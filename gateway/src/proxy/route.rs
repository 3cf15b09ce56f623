//! Second step: find the route.

use super::error::Error;
use super::exchange::Exchange;
use super::timeouts::Limit;

impl Exchange<'_> {
    /// Finds the route by listener, host, path, method and fields.
    pub(super) fn find_route(&mut self) -> Result<(), Error> {
        let view = self.view;
        let context = self.context.as_mut().expect("no plugin was called yet");
        let listener = view.snapshot.listener_of(self.connection.listener.id).ok_or(Error::NoRoute)?;
        let route = view.snapshot.routes.find(listener, &context.request).ok_or(Error::NoRoute)?;
        context.route = view.routes[route.index as usize].name.clone();
        context.pool = view.pools[route.pool as usize].name.clone();
        self.route = Some(route);
        self.pool = route.pool;
        let deadline = &self.connection.deadline;
        self.timeouts.start(Limit::Answer, Some(route.timeout), deadline);
        self.timeouts.start(Limit::Total, route.total_timeout, deadline);
        route.broken.as_ref().map_or(Ok(()), |filter| Err(Error::PluginFault(filter.to_string())))
    }
}
