//! Who sends PROXY headers.

use super::{Parse, items};
use crate::cidr::Cidr;
use crate::control::config::reading::{Key, List};

impl Parse {
    /// The peers that begin each connection to a listener with a header.
    pub(super) fn proxies(&mut self, list: Key<List<Cidr>>) -> Vec<Cidr> {
        if let Key::Is(list) = &list
            && list.value.empty
        {
            let write = "name who sends PROXY headers: [\"10.0.0.0/8\"], or leave `proxy_protocol` out";
            self.wrong(&list.place, "nobody would be asked for a PROXY header", write);
        }
        items(list.get().map(|at| at.value.items))
    }
}
