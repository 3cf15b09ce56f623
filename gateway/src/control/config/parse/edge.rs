//! How strict requests are read; and that the paths of routes are such as requests have then.

use super::Parse;
use crate::control::config::error::Place;
use crate::control::config::reading::Key;
use crate::control::config::resolved::{EscapedSlashes, Strictness, Underscores};
use crate::http::path::plain;

impl Parse {
    pub(super) fn strictness(
        &mut self,
        normalize_path: Key<bool>,
        escaped_slashes: Key<EscapedSlashes>,
        underscores: Key<Underscores>,
    ) -> Strictness {
        let normalize_path = normalize_path.unless(true);
        if let (false, Key::Is(slashes)) = (normalize_path, &escaped_slashes) {
            let write = "leave it out, or leave out `normalize_path = false`";
            self.wrong(&slashes.place, "nobody looks at escapes where paths are not normalized", write);
        }
        Strictness {
            normalize_path,
            escaped_slashes: escaped_slashes.unless(EscapedSlashes::Refuse),
            underscores: underscores.unless(Underscores::Drop),
        }
    }

    /// A route's path that no request's path can be, since it is another one when the route is chosen.
    pub(super) fn plain_path(&mut self, path: &str, place: &Place, strictness: Strictness) {
        if path.contains(';') {
            let write = "write it without: a route matches whatever the parameters are";
            return self.wrong(place, format!("the path \"{path}\" has parameters"), write);
        }
        if !strictness.normalize_path {
            return;
        }
        match plain(path.as_bytes(), strictness.escaped_slashes == EscapedSlashes::Keep) {
            Ok(None) => {}
            Ok(Some(plain)) => {
                let write = format!("write \"{}\", which is what its requests become", plain.escape_ascii());
                self.wrong(place, format!("the path \"{path}\" is not in its plain form"), write);
            }
            Err(_) => {
                let write = "write it without backslashes, and without escapes of slashes, controls and half characters";
                self.wrong(place, format!("requests with the path \"{path}\" are refused"), write);
            }
        }
    }
}
