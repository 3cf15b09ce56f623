//! How pools' nodes are watched.

use std::num::NonZeroU16;
use std::time::Duration;

use super::{Parse, number};
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Key, Number, OneOrMany, OrOff};
use crate::control::config::resolved::{CheckStart, HealthCheck, HostHeader, Outlier, Probe};
use crate::control::config::value::{CheckType, StatusRange};
use crate::transport::dial::NodeProtocol;

impl Parse {
    /// The check of a pool, or the default's, which was read before: what is wrong with that is noted once.
    pub(super) fn health(
        &mut self,
        health: Key<OrOff<file::HealthCheck>>,
        default: &Option<HealthCheck>,
    ) -> Option<HealthCheck> {
        match health {
            Key::Absent => default.clone(),
            Key::Is(At { value: OrOff::On(check), place }) => self.check(check, &place),
            Key::Is(At { value: OrOff::Off, .. }) | Key::Wrong => None,
        }
    }

    fn check(&mut self, check: file::HealthCheck, place: &Place) -> Option<HealthCheck> {
        let probe = self.probe(&check, place);
        let interval = check.interval.unless(Duration::from_secs(5));
        let timeout = check.timeout.get();
        if let Some(at) = &timeout
            && at.value > interval
        {
            let what = "a check could take longer than the interval between two";
            self.wrong(
                &at.place,
                what,
                "write a `timeout` that is not longer than `interval`, which is 5s by default",
            );
        }
        let timeout = timeout.map_or(Duration::from_secs(2).min(interval), |at| at.value);
        Some(HealthCheck {
            probe: probe?,
            interval,
            timeout,
            healthy: number(check.healthy.get().map(|at| at.value.0), 1),
            unhealthy: number(check.unhealthy.get().map(|at| at.value.0), 3),
            jitter: check.jitter.get().map_or(10, |at| at.value.0),
            start: check.start.unless(CheckStart::Check),
        })
    }

    fn probe(&mut self, check: &file::HealthCheck, place: &Place) -> Option<Probe> {
        let kind = check.r#type.clone().unless(CheckType::Http);
        if kind != CheckType::Http {
            self.not_for(kind, "path", &check.path, CheckType::Http);
            self.not_for(kind, "status", &check.status, CheckType::Http);
        }
        if kind != CheckType::Grpc {
            self.not_for(kind, "service", &check.service, CheckType::Grpc);
        }
        let host = match check.host.clone().unless(HostHeader::Keep) {
            HostHeader::Keep => None,
            HostHeader::Name(name) => Some(name),
        };
        match kind {
            CheckType::Tcp => {
                self.not_for(kind, "host", &check.host, CheckType::Http);
                Some(Probe::Tcp)
            }
            CheckType::Grpc => {
                let service = check.service.clone().get().map(|at| at.value.0).unwrap_or_default();
                Some(Probe::Grpc { service, host })
            }
            CheckType::Http => {
                if check.path.is_absent() {
                    self.wrong(place, "`path` is missing", "add `path = \"/healthz\"`, or `type = \"tcp\"`");
                }
                let status = statuses(check.status.clone());
                Some(Probe::Http { path: check.path.clone().get()?.value.0, host, status })
            }
        }
    }

    /// Notes a key that a check of this type has no use for.
    fn not_for<T>(&mut self, kind: CheckType, name: &str, key: &Key<T>, whose: CheckType) {
        if let Key::Is(at) = key {
            let what = format!("a check of type \"{}\" has no `{name}`", kind.as_str());
            self.wrong(&at.place, what, format!("leave it out, or write `type = \"{}\"`", whose.as_str()));
        }
    }

    /// Notes a check that its pool's nodes cannot be asked.
    pub(super) fn grpc_needs_http2(
        &mut self,
        health: Option<&HealthCheck>,
        protocol: NodeProtocol,
        place: &Place,
    ) {
        let is_grpc = health.is_some_and(|check| matches!(check.probe, Probe::Grpc { .. }));
        if is_grpc && protocol != NodeProtocol::Http2 {
            let what = "checks of type \"grpc\" need HTTP/2, which this pool does not speak";
            self.wrong(place, what, "add `protocol = \"http2\"` to the pool");
        }
    }

    /// The outlier detection of a pool, or the default's.
    pub(super) fn outlier(
        &mut self,
        outlier: Key<OrOff<file::Outlier>>,
        default: &Option<Outlier>,
    ) -> Option<Outlier> {
        match outlier {
            Key::Absent => default.clone(),
            Key::Is(At { value: OrOff::On(outlier), .. }) => Some(self.limits_of(outlier)),
            Key::Is(At { value: OrOff::Off, .. }) | Key::Wrong => None,
        }
    }

    fn limits_of(&mut self, outlier: file::Outlier) -> Outlier {
        let usual = Outlier::default();
        let ejection = outlier.ejection.get();
        let max_ejection = outlier.max_ejection.get();
        let first = ejection.as_ref().map_or(usual.ejection, |at| at.value);
        let longest = max_ejection.as_ref().map_or(usual.max_ejection.max(first), |at| at.value);
        if longest < first {
            let place = max_ejection.or(ejection).map(|at| at.place);
            let what = "the longest ejection would be shorter than the first";
            let write = "write a `max_ejection` that is not shorter than `ejection`, which is 10s by default";
            place.iter().for_each(|place| self.wrong(place, what, write));
        }
        Outlier {
            connect_failures: unless_off(outlier.connect_failures, count, usual.connect_failures),
            failures: unless_off(outlier.failures, count, usual.failures),
            success_rate: unless_off(outlier.success_rate, |number| Some(number.0), usual.success_rate),
            latency: unless_off(outlier.latency, |number| Some(number.0), usual.latency),
            silence: unless_off(outlier.silence, Some, usual.silence),
            ejection: first,
            max_ejection: longest,
            max_ejected: outlier.max_ejected.get().map_or(usual.max_ejected, |at| at.value.0),
        }
    }
}

/// What a key says, nothing if it says "off", and the default if it is not there.
pub(super) fn unless_off<T, U>(
    key: Key<OrOff<T>>,
    read: fn(T) -> Option<U>,
    default: Option<U>,
) -> Option<U> {
    match key.get().map(|at| at.value) {
        Some(OrOff::On(value)) => read(value),
        Some(OrOff::Off) => None,
        None => default,
    }
}

fn count<const MIN: u32, const MAX: u32>(number: Number<MIN, MAX>) -> Option<NonZeroU16> {
    u16::try_from(number.0).ok().and_then(NonZeroU16::new)
}

fn statuses(key: Key<OneOrMany<StatusRange>>) -> Vec<std::ops::RangeInclusive<u16>> {
    let listed = key.get().map(|at| at.value.0.items).unwrap_or_default();
    let ranges: Vec<_> = listed.into_iter().map(|at| at.value.0).collect();
    if ranges.is_empty() { vec![200..=299] } else { ranges }
}
