//! Tells that something may have changed in the folders of plugins and configuration.
//!
//! Events are only hints: editors rename, Kubernetes swaps a symbolic link, queues overflow, NFS says nothing. So the
//! one who looks compares contents, and looks every two seconds in any case. What a look means is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::oneshot;
use tracing::warn;

use super::command::Command;

/// A change comes as several events; this long after the first one all of them are there.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How soon to look again at a file that was still being written.
const SOON: Duration = Duration::from_millis(60);
/// How often to look without any hint.
const RESCAN: Duration = Duration::from_secs(2);

/// How soon to look at what took over a moment ago and may have to go back.
const WATCHFUL: Duration = Duration::from_millis(250);

/// What the thread that looks is told.
pub(super) enum Hint {
    /// Something may have changed.
    Look,
    /// Somebody asks for something, at once.
    Do(Box<Command>),
    /// Somebody wants a look at once, and to know when what came of it is in force.
    Reload(oneshot::Sender<()>),
    /// It is over.
    Stop,
}

/// What somebody asks for, beside a look.
pub(super) enum Ask {
    /// This.
    Do(Box<Command>),
    /// To be told when that was.
    Reload(oneshot::Sender<()>),
}

/// What a look asks for.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// The folders in which a change matters.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Whether something was still being written.
    pub(super) soon: bool,
    /// Whether something took over a moment ago.
    pub(super) watchful: bool,
}

impl Next {
    fn pause(&self) -> Duration {
        match self {
            Self { soon: true, .. } => SOON,
            Self { watchful: true, .. } => WATCHFUL,
            _ => RESCAN,
        }
    }
}

/// Looks after each hint and every two seconds, and does what is asked for, until told to stop.
pub(super) fn run(hints: &Receiver<Hint>, mut watch: Watch, mut act: impl FnMut(Option<Ask>) -> Next) {
    let mut next = act(None);
    loop {
        // What changed between a look and the watch gives no event.
        while watch.follow(&next.folders) {
            next = act(None);
        }
        let ask = match hints.recv_timeout(next.pause()) {
            Ok(Hint::Look) => match gather(hints) {
                Gathered::All => None,
                Gathered::Ask(ask) => Some(ask),
                Gathered::Stop => return,
            },
            Ok(Hint::Do(command)) => Some(Ask::Do(command)),
            Ok(Hint::Reload(answer)) => Some(Ask::Reload(answer)),
            Err(RecvTimeoutError::Timeout) => None,
            Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        };
        next = act(ask);
    }
}

/// What followed a first hint.
enum Gathered {
    /// All that came at once; it is time to look.
    All,
    Ask(Ask),
    Stop,
}

/// Takes in the hints that follow a first one.
fn gather(hints: &Receiver<Hint>) -> Gathered {
    let end = Instant::now() + DEBOUNCE;
    loop {
        match hints.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Hint::Look) => {}
            Ok(Hint::Do(command)) => return Gathered::Ask(Ask::Do(command)),
            Ok(Hint::Reload(answer)) => return Gathered::Ask(Ask::Reload(answer)),
            Err(RecvTimeoutError::Timeout) => return Gathered::All,
            Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => return Gathered::Stop,
        }
    }
}

/// The operating system's watches on folders.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Each folder and which one it was (device and inode): a path may come to name another folder.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watch {
    /// Watches nothing yet. Where watching is not to be had, the regular look remains.
    pub(super) fn new(hints: Sender<Hint>) -> Self {
        // Nobody listens any more when the gateway stops.
        Self::calling(move || drop(hints.send(Hint::Look)))
    }

    /// The same for one who is called instead, on a thread of the watch's own.
    pub(super) fn calling(call: impl Fn() + Send + 'static) -> Self {
        let tell = move |event: notify::Result<notify::Event>| {
            if is_news(&event) {
                call();
            }
        };
        let watcher = notify::recommended_watcher(tell)
            .inspect_err(|error| warn!("folders cannot be watched, changes are seen every 2 s: {error}"));
        Self { watcher: watcher.ok(), watched: BTreeMap::new() }
    }

    /// Watches these folders and no others; answers whether one of them was not watched before. One that does not exist is
    /// watched when it does.
    pub(super) fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut is_new = false;
        let wanted: BTreeMap<PathBuf, (u64, u64)> =
            folders.iter().filter_map(|folder| Some((folder.clone(), identity(folder)?))).collect();
        for (folder, _) in self.watched.iter().filter(|(folder, id)| wanted.get(*folder) != Some(id)) {
            // It may be gone, and its watch with it.
            let _gone = watcher.unwatch(folder);
        }
        self.watched.retain(|folder, id| wanted.get(folder) == Some(id));
        for (folder, id) in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder, id);
                    is_new = true;
                }
                Err(error) => warn!("{} cannot be watched: {error}", folder.display()),
            }
        }
        is_new
    }
}

/// Whether to look after this event. Our own reading comes back as one: of accesses only the end of a write is news. That
/// the queue overflowed comes as one of no kind, and it or an error says that others are missing.
fn is_news(event: &notify::Result<notify::Event>) -> bool {
    match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(kind)) => kind == AccessKind::Close(AccessMode::Write),
        Ok(_) | Err(_) => true,
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The folders in which a change of this file shows: where it is named, and where it is if it is a link.
pub(super) fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let parent = |path: &Path| {
        let parent = path.parent()?;
        Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
    };
    let real = fs::canonicalize(file).ok().and_then(|path| parent(&path));
    parent(file).into_iter().chain(real)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::channel;

    use super::*;

    /// Long enough for any machine; a test that passes waits for the event only.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn watching(folder: &Path) -> (Watch, Receiver<Hint>) {
        let (hints, told) = channel();
        let mut watch = Watch::new(hints);
        assert!(watch.follow(&BTreeSet::from([folder.to_owned()])));
        (watch, told)
    }

    #[test]
    fn a_file_that_appears_or_is_renamed_is_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let (_watch, told) = watching(folder.path());
        fs::write(folder.path().join("new"), "1").unwrap();
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(Hint::Look)));
        while told.try_recv().is_ok() {}
        fs::rename(folder.path().join("new"), folder.path().join("a.wasm")).unwrap();
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(Hint::Look)));
    }

    #[test]
    fn a_folder_that_is_replaced_is_watched_anew() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("plugins");
        fs::create_dir(&folder).unwrap();
        let (mut watch, told) = watching(&folder);
        fs::rename(&folder, parent.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(watch.follow(&BTreeSet::from([folder.clone()])));
        assert!(!watch.follow(&BTreeSet::from([folder.clone()])), "it is watched already");
        while told.try_recv().is_ok() {}
        fs::write(folder.join("a.wasm"), "1").unwrap();
        assert!(matches!(told.recv_timeout(PATIENCE), Ok(Hint::Look)));
    }

    #[test]
    fn an_overflow_of_the_queue_is_a_hint() {
        // As notify tells it on Linux: Q_OVERFLOW names no file.
        let overflow = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(overflow.need_rescan() && is_news(&Ok(overflow)));
        assert!(is_news(&Err(notify::Error::generic("the events are lost"))));
    }

    #[test]
    fn reading_is_no_hint() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        let (_watch, told) = watching(folder.path());
        fs::read(folder.path().join("a")).unwrap();
        fs::read_dir(folder.path()).unwrap().for_each(drop);
        // The write comes behind the reads: if the first hint is its, and then its others, the reads gave none.
        fs::write(folder.path().join("b"), "").unwrap();
        let first = told.recv_timeout(PATIENCE);
        assert!(matches!(first, Ok(Hint::Look)));
        let others = std::iter::from_fn(|| told.recv_timeout(DEBOUNCE).ok()).count();
        assert!(others <= 2, "creating and closing one file gave {others} more hints");
    }

    #[test]
    fn it_looks_without_any_hint_and_soon_after_something_took_over() {
        for (watchful, at_least) in [(false, RESCAN), (true, WATCHFUL)] {
            let (hints, told) = channel();
            let (looked, looks) = channel();
            // It follows no folder: as on a file system without events.
            let watch = Watch { watcher: None, watched: BTreeMap::new() };
            let thread = std::thread::spawn(move || {
                run(&told, watch, |_| {
                    looked.send(Instant::now()).unwrap();
                    Next { watchful, ..Next::default() }
                });
            });
            let times = [(); 2].map(|()| looks.recv_timeout(PATIENCE).unwrap());
            assert!(times[1] - times[0] >= at_least, "{:?}", times[1] - times[0]);
            hints.send(Hint::Stop).unwrap();
            thread.join().unwrap();
        }
    }

    #[test]
    fn what_changes_before_its_folder_is_watched_is_seen_by_a_second_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        let (hints, told) = channel();
        // It is told to stop already: whatever it sees, it sees without waiting for a hint or the regular look.
        hints.send(Hint::Stop).unwrap();
        let mut looks = Vec::new();
        run(&told, Watch::new(hints), |_| {
            looks.push(file.exists());
            // Behind the look, and before the watch: no event will tell of it.
            fs::write(&file, "1").unwrap();
            Next { folders: BTreeSet::from([folder.path().to_owned()]), ..Next::default() }
        });
        assert_eq!(looks, [false, true]);
    }

    #[test]
    fn it_looks_after_a_hint_and_stops_when_told() {
        let (hints, told) = channel();
        let (looked, looks) = channel();
        let watch = Watch::new(hints.clone());
        let thread = std::thread::spawn(move || {
            run(&told, watch, |_| {
                looked.send(()).unwrap();
                Next::default()
            });
        });
        looks.recv_timeout(PATIENCE).unwrap();
        hints.send(Hint::Look).unwrap();
        looks.recv_timeout(PATIENCE).unwrap();
        hints.send(Hint::Stop).unwrap();
        thread.join().unwrap();
    }
}
