//! Calls that a plugin does without. Each that is not made saves a tenth of what the gateway spends on a small request.

use crate::host::spare as host;

/// In [`Lifecycle::configure`](crate::Lifecycle::configure): [`Filter::on_request`](crate::Filter::on_request) is never called.
pub fn on_request() {
    host::on_request();
}

/// In [`Balancer::pick`](crate::Balancer::pick): [`Filter::on_response`](crate::Filter::on_response) is not called for this
/// request, unless `pick` is asked again for it, as for another attempt.
pub fn on_response() {
    host::on_response();
}

/// In [`Lifecycle::configure`](crate::Lifecycle::configure): the same for each request for which
/// [`Balancer::pick`](crate::Balancer::pick) answers the candidate that
/// [`sessions::bound_by_cookie`](crate::sessions::bound_by_cookie) named.
pub fn on_response_where_bound() {
    host::on_response_where_bound();
}
