//! Request heads of the recent past, kept to try new versions of plugins on.
//!
//! In memory only, without bodies, and with what looks like a credential masked; nobody but a replay reads them. The
//! request path pays one comparison of times, and now and then a copy: a worker takes a sample some twenty times a second
//! at most, and never waits for the lock.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::Context;

/// A worker's shortest time between two samples.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a worker that shall take none waits until it asks again.
const PAUSE_WHEN_OFF: Duration = Duration::from_secs(1);
/// The largest head that is kept, in bytes of its fields: 64 of them are a megabyte.
const LARGEST: usize = 16 * 1024;
/// What stands in place of a credential.
const MASK: &[u8] = b"masked";
/// Names with such a part belong to credentials, whatever the rest of them is.
const SENSITIVE: [&str; 9] =
    ["auth", "cookie", "token", "secret", "password", "api-key", "api_key", "session", "signature"];

/// A field's name and value.
type Line = (Box<[u8]>, Box<[u8]>);

/// One request's head, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub(super) method: Box<str>,
    pub(super) path: Box<[u8]>,
    pub(super) authority: Box<[u8]>,
    pub(super) fields: Vec<Line>,
    pub(super) client: Option<IpAddr>,
    pub(super) secure: bool,
    /// The route that it took.
    pub route: Box<str>,
    /// That route's pool.
    pub pool: Box<str>,
}

impl Sample {
    /// A copy of what a plugin would see, without what nobody else may.
    fn of(context: &Context) -> Sample {
        let head = &context.request;
        let fields = head.fields.iter().map(|field| {
            let name = head.fields.bytes(field.name);
            let value = if is_sensitive(name) { MASK } else { head.fields.bytes(field.value) };
            (name.into(), value.into())
        });
        Sample {
            method: head.method_name().into(),
            path: masked_path(head.path()).into(),
            authority: head.authority().into(),
            fields: fields.collect(),
            client: context.client,
            secure: context.secure,
            route: (*context.route).into(),
            pool: (*context.pool).into(),
        }
    }
}

fn is_sensitive(name: &[u8]) -> bool {
    let contains =
        |part: &str| name.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
    SENSITIVE.into_iter().any(contains)
}

/// The path with the values of sensitive parameters masked.
fn masked_path(path: &[u8]) -> Vec<u8> {
    let Some(mark) = path.iter().position(|&byte| byte == b'?') else { return path.to_vec() };
    let (path, query) = path.split_at(mark + 1);
    let parameter = |parameter: &[u8]| match parameter.iter().position(|&byte| byte == b'=') {
        Some(equals) if is_sensitive(&parameter[..equals]) => [&parameter[..=equals], MASK].concat(),
        _ => parameter.to_vec(),
    };
    let parameters: Vec<Vec<u8>> = query.split(|&byte| byte == b'&').map(parameter).collect();
    [path, &parameters.join(&b'&')].concat()
}

/// The heads that all workers keep.
#[derive(Debug, Default)]
pub struct Samples {
    most: AtomicUsize,
    kept: Mutex<VecDeque<Sample>>,
}

impl Samples {
    /// Keeps so many from now on; 0 keeps none.
    pub fn keep(&self, most: usize) {
        self.most.store(most, Relaxed);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).truncate(most);
    }

    /// The heads that are kept now, the newest first.
    pub fn heads(&self) -> Vec<Sample> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What one worker samples with.
#[derive(Clone, Debug)]
pub struct Sampler {
    samples: Arc<Samples>,
    next: Cell<Instant>,
}

impl Sampler {
    /// Takes the next request that comes.
    pub fn new(samples: Arc<Samples>, now: Instant) -> Sampler {
        Sampler { samples, next: Cell::new(now) }
    }

    /// Keeps this request's head if it is time for one. No filter has seen it yet.
    #[inline]
    pub fn note(&self, context: &Context) {
        if context.now >= self.next.get() {
            self.take(context);
        }
    }

    #[cold]
    fn take(&self, context: &Context) {
        let most = self.samples.most.load(Relaxed);
        self.next.set(context.now + if most == 0 { PAUSE_WHEN_OFF } else { PAUSE });
        if most == 0 || context.request.fields.buffer().len() > LARGEST {
            return;
        }
        let sample = Sample::of(context);
        // Whoever finds it taken has lost a sample and no time.
        if let Ok(mut kept) = self.samples.kept.try_lock() {
            kept.truncate(most - 1);
            kept.push_front(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(now: Instant) -> Context {
        let mut context = Context::new(now);
        context.request.set_path(b"/a?b=c&access_token=d&e");
        for (name, value) in
            [("Host", "a.test"), ("COOKIE", "s=1"), ("authorization", "Bearer x"), ("x-a", "1")]
        {
            context.request.fields.add(name.as_bytes(), value.as_bytes());
        }
        for secret in ["X-Api-Key", "proxy-authorization", "x-session-id", "x-csrf-token"] {
            context.request.fields.add(secret.as_bytes(), b"hunter2");
        }
        (context.route, context.pool) = ("all".into(), "main".into());
        context
    }

    #[test]
    fn credentials_are_masked_and_the_rest_is_as_it_came() {
        let sample = Sample::of(&context(Instant::now()));
        assert_eq!(&*sample.path, b"/a?b=c&access_token=masked&e");
        let value = |wanted: &str| {
            let found = sample.fields.iter().find(|(name, _)| **name == *wanted.as_bytes());
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        assert_eq!((value("Host").as_deref(), value("x-a").as_deref()), (Some("a.test"), Some("1")));
        assert_eq!(
            (value("COOKIE").as_deref(), value("authorization").as_deref()),
            (Some("masked"), Some("masked"))
        );
        assert!(!format!("{sample:?}").contains("hunter2"));
        assert_eq!((&*sample.authority, &*sample.pool), (&b"a.test"[..], "main"));
    }

    #[test]
    fn the_newest_are_kept_and_not_too_many_a_second() {
        let (samples, start) = (Arc::new(Samples::default()), Instant::now());
        samples.keep(3);
        let sampler = Sampler::new(Arc::clone(&samples), start);
        for index in 0..100 {
            let mut context = context(start + Duration::from_millis(10 * index));
            context.request.set_path(format!("/{index}").as_bytes());
            sampler.note(&context);
        }
        let paths: Vec<_> = samples.heads().iter().map(|sample| sample.path.clone()).collect();
        assert_eq!(paths, [b"/95"[..].into(), b"/90"[..].into(), b"/85"[..].into()]);
        samples.keep(0);
        sampler.note(&context(start + Duration::from_secs(2)));
        assert!(samples.heads().is_empty());
    }

    #[test]
    fn a_huge_head_is_not_kept() {
        let (samples, start) = (Arc::new(Samples::default()), Instant::now());
        samples.keep(3);
        let mut context = context(start);
        context.request.fields.add(b"x-large", &[b'x'; LARGEST]);
        Sampler::new(Arc::clone(&samples), start).note(&context);
        assert!(samples.heads().is_empty());
    }
}
