//! What a node says of its load in its response becomes numbers that every policy can read, on every worker.
//!
//! For pools that want it; for all others this is one test. A node's signals are behind a lock, so a report is taken at
//! most ten times a second for each node, whatever the rate of its responses: at that rate nobody meets anybody there.

use super::exchange::Exchange;
use crate::http::load_report::{self, BINARY_FIELD, FIELD};
use crate::telemetry::LoadReport;

impl Exchange<'_> {
    /// Takes the report out of a response's head, so that clients do not learn of nodes' load.
    pub(super) fn take_load_report(&mut self) {
        let Some(ttl) = self.view.pool(self.pool).load_report_ttl else { return };
        let metrics = &self.view.pools[self.pool as usize].metrics;
        let context = self.context.as_mut().expect("no plugin is being called");
        let (now, fields) = (context.now, &mut context.response.fields);
        let report = fields.get(FIELD);
        let is_binary = fields.get(BINARY_FIELD).is_some();
        if report.is_none() && !is_binary {
            return;
        }
        if let Some(node) = &context.node
            && node.live.may_report(now)
        {
            // More signals than a node may have, or a name that is too long: those are left out.
            let set = |name: &str, value| {
                let _left_out = node.live.set_signal(name, value, ttl, now);
            };
            // Without a readable one the binary one counts as what it is.
            let result = load_report::read(report.unwrap_or_default(), set);
            metrics.reported(if result.is_ok() { LoadReport::Taken } else { LoadReport::Unreadable });
        }
        fields.remove(FIELD.as_bytes());
        fields.remove(BINARY_FIELD.as_bytes());
    }
}
