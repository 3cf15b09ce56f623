//! From a TOML value to a type, noting every error on the way instead of stopping at the first.
//!
//! The tree of toml's spanned values is walked by hand: serde would stop at the first error of each table.
//! A [`Value`] says how one type is read. A table's keys are listed once, in `file`; [`Fields`] refuses all others.
//! Nothing here compares one table with another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{At, Error, Place};
use super::nearest::nearest;
use super::text::Text;
use crate::name::Name;

/// A TOML value and its place in bytes.
pub(super) type Item<'i> = toml::Spanned<DeValue<'i>>;

/// What a value needs from outside of the text: files (secrets, includes) and the environment.
pub trait Outside {
    /// The content of a file.
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// The names of the files in a folder, in any order.
    fn list(&self, folder: &Path) -> std::io::Result<Vec<String>>;
    /// The value of an environment variable.
    fn environment(&self, name: &str) -> Result<String, std::env::VarError>;
}

/// The file that is being read, and what was found wrong so far.
pub(super) struct Reading<'a> {
    pub(super) outside: &'a dyn Outside,
    /// The start of the file.
    pub(super) start: Place,
    /// Where relative paths in the file begin.
    pub(super) folder: PathBuf,
    pub(super) errors: Vec<Error>,
}

impl Reading<'_> {
    /// Where a value stands.
    pub(super) fn place<T>(&self, item: &toml::Spanned<T>) -> Place {
        self.start.with_span(item.span())
    }

    /// Notes an error at a value; answers nothing, so that a reader can end with it.
    pub(super) fn wrong<T, V>(
        &mut self,
        item: &toml::Spanned<V>,
        what: impl Into<String>,
        write: &str,
    ) -> Option<T> {
        self.errors.push(Error::new(&self.place(item), what).note(write));
        None
    }

    /// Notes that a value has the wrong type.
    pub(super) fn wrong_type<T>(&mut self, item: &Item<'_>, wanted: &str) -> Option<T> {
        let found = match item.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(item, format!("{found} stands here"), &format!("write {wanted}"))
    }

    /// Reads a string as this type.
    pub(super) fn text<T: Text, V>(&mut self, item: &toml::Spanned<V>, text: &str) -> Option<T> {
        T::parse(text).or_else(|refused| self.wrong(item, refused.what, &refused.write).ok_or(())).ok()
    }
}

/// A type that a TOML value can be read as; none if an error was noted.
pub(super) trait Value: Sized {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self>;
}

/// What a key holds.
#[derive(Debug, Clone, Default)]
pub(super) enum Key<T> {
    /// It is not written.
    #[default]
    Absent,
    /// It is, but wrong, and that is noted: whoever misses it says no more.
    Wrong,
    /// It is this.
    Is(At<T>),
}

impl<T> Key<T> {
    /// The value, if there is a good one.
    pub(super) fn get(self) -> Option<At<T>> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }

    /// The value, or what stands for it if there is none.
    pub(super) fn unless(self, default: T) -> T {
        self.get().map_or(default, |at| at.value)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Clone> Key<T> {
    /// This, or the default that `[defaults]` has for it.
    pub(super) fn or(self, default: &Self) -> Self {
        if self.is_absent() { default.clone() } else { self }
    }
}

/// A table whose keys are taken one by one; those that are not known are refused at once.
pub(super) struct Fields<'t, 'i>(&'t DeTable<'i>);

impl<'t, 'i> Fields<'t, 'i> {
    /// The table, unless the value is none. `whose` is what has these keys, as a sentence begins: "a pool".
    pub(super) fn of(
        whose: &str,
        keys: &[&str],
        item: &'t Item<'i>,
        reading: &mut Reading<'_>,
    ) -> Option<Self> {
        let DeValue::Table(table) = item.get_ref() else {
            return reading.wrong_type(item, &format!("a table with the keys of {whose}"));
        };
        let unknown = |key: &str| !keys.contains(&key);
        for (key, _) in in_order(table).into_iter().filter(|(key, _)| unknown(key.get_ref())) {
            let mut error =
                Error::new(&reading.place(key), format!("{whose} has no key `{}`", key.get_ref()));
            if let Some(near) = nearest(key.get_ref(), keys.iter().copied()) {
                error = error.note(format!("did you mean `{near}`?"));
            }
            reading.errors.push(error.note(format!("its keys are: {}", keys.join(", "))));
        }
        Some(Self(table))
    }

    /// What the key holds.
    pub(super) fn take<T: Value>(&self, key: &str, reading: &mut Reading<'_>) -> Key<T> {
        let Some(item) = self.0.get(key) else {
            return Key::Absent;
        };
        T::read(item, reading).map_or(Key::Wrong, |value| Key::Is(At::new(value, reading.place(item))))
    }
}

/// Declares a table: its name for people, and each key with the type of its value. A key may be absent; whether that is
/// an error, or what stands for it, is decided in `parse`.
macro_rules! table {
    ($(#[$doc:meta])* $whose:literal $name:ident { $($key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default, Clone)]
        pub(super) struct $name { $(pub(super) $key: Key<$type>,)* }

        impl Value for $name {
            fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
                let fields = Fields::of($whose, &[$(bare(stringify!($key))),*], item, reading)?;
                Some(Self { $($key: fields.take(bare(stringify!($key)), reading),)* })
            }
        }
    };
}
pub(super) use table;

/// A key that is also a word of Rust's is declared as `r#type`.
pub(super) fn bare(key: &str) -> &str {
    key.strip_prefix("r#").unwrap_or(key)
}

/// Entries of a table in the order in which they are written.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t toml::Spanned<toml::de::DeString<'i>>, &'t Item<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A table with a name, such as `[pool.api]`.
#[derive(Clone)]
pub(super) struct Entry<T> {
    pub(super) name: At<Name>,
    /// None if what stands there is no table: then the name is known at least.
    pub(super) table: Option<T>,
    /// Whether nothing in it is wrong, so that it can be compared with others.
    pub(super) sound: bool,
}

/// Tables with names, in the order in which they are written.
#[derive(Clone)]
pub(super) struct Named<T>(pub(super) Vec<Entry<T>>);

impl<T: Value> Value for Named<T> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Table(table) = item.get_ref() else {
            return reading.wrong_type(item, "a table with a name, such as `[pool.api]`");
        };
        let mut named = Vec::new();
        for (key, item) in in_order(table) {
            let name = reading.text(key, key.get_ref());
            let errors = reading.errors.len();
            let table = T::read(item, reading);
            let sound = reading.errors.len() == errors;
            named.extend(name.map(|name| Entry { name: At::new(name, reading.place(key)), table, sound }));
        }
        Some(Self(named))
    }
}

/// A list. Wrong elements are left out, and noted.
#[derive(Debug, Clone)]
pub(super) struct List<T> {
    pub(super) items: Vec<At<T>>,
    /// Whether nothing was written between the brackets.
    pub(super) empty: bool,
}

impl<T: Value> List<T> {
    fn of<'t, 'i: 't>(items: impl IntoIterator<Item = &'t Item<'i>>, reading: &mut Reading<'_>) -> Self {
        let mut list = Self { items: Vec::new(), empty: true };
        for item in items {
            list.empty = false;
            list.items.extend(T::read(item, reading).map(|value| At::new(value, reading.place(item))));
        }
        list
    }
}

impl<T: Value> Value for List<T> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::Array(items) => Some(Self::of(items.iter(), reading)),
            _ => reading.wrong_type(item, "a list, in brackets: `[…]`"),
        }
    }
}

/// A list, or its only element without brackets.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub(super) List<T>);

impl<T: Value> Value for OneOrMany<T> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::Array(items) => Some(Self(List::of(items.iter(), reading))),
            _ => Some(Self(List::of([item], reading))),
        }
    }
}

/// A value, or "off".
#[derive(Debug, Clone)]
pub(super) enum OrOff<T> {
    Off,
    On(T),
}

impl<T: Value> Value for OrOff<T> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::String(text) if text == "off" => Some(Self::Off),
            DeValue::Table(_) => T::read(item, reading).map(Self::On),
            _ => {
                let value = T::read(item, reading);
                if value.is_none()
                    && let Some(error) = reading.errors.pop()
                {
                    reading.errors.push(error.note("or write \"off\""));
                }
                value.map(Self::On)
            }
        }
    }
}

/// A table of texts by text, such as labels.
#[derive(Debug, Clone)]
pub(super) struct Texts<K, V>(pub(super) BTreeMap<K, V>);

impl<K: Text + Ord, V: Text> Value for Texts<K, V> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Table(table) = item.get_ref() else {
            return reading.wrong_type(item, "a table such as `{ key = \"value\" }`");
        };
        let mut texts = BTreeMap::new();
        for (key, item) in in_order(table) {
            let name = reading.text(key, key.get_ref());
            let value = match item.get_ref() {
                DeValue::String(text) => reading.text(item, text),
                _ => reading.wrong_type(item, &format!("{} in quotes", V::WHAT)),
            };
            if let (Some(name), Some(value)) = (name, value)
                && texts.insert(name, value).is_some()
            {
                reading.wrong::<(), _>(
                    key,
                    format!("`{}` stands here twice", key.get_ref()),
                    "leave one of them out",
                );
            }
        }
        Some(Self(texts))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Value for Number<MIN, MAX> {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let wanted = format!("a whole number from {MIN} to {MAX}");
        let DeValue::Integer(integer) = item.get_ref() else {
            return reading.wrong_type(item, &wanted);
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix());
        match number.ok().filter(|number| (MIN..=MAX).contains(number)) {
            Some(number) => Some(Self(number)),
            None => reading.wrong(item, format!("{integer} is out of range"), &format!("write {wanted}")),
        }
    }
}

impl Value for bool {
    fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match item.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => reading.wrong_type(item, "true or false, without quotes"),
        }
    }
}

/// Makes types that are written as strings values.
macro_rules! texts {
    ($($type:ty),* $(,)?) => { $(
        impl Value for $type {
            fn read(item: &Item<'_>, reading: &mut Reading<'_>) -> Option<Self> {
                match item.get_ref() {
                    DeValue::String(text) => reading.text(item, text),
                    _ => reading.wrong_type(item, <$type as Text>::WHAT),
                }
            }
        }
    )* };
}
pub(super) use texts;
