//! `export!`, which makes a plugin of a type.

/// Makes a plugin of a type, which plays the roles that are named: `lifecycle`, `router`, `balancer`, `filter`,
/// `observer`, `timer`.
///
/// ```
/// # use bascule_plugin::prelude::*;
/// struct First;
///
/// impl Balancer for First {
///     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
///         nodes.get(0).into()
///     }
/// }
///
/// bascule_plugin::export!(First: balancer);
/// # fn main() {}
/// ```
///
/// With `lifecycle` among the roles the instance is made by [`Lifecycle::configure`](crate::Lifecycle::configure);
/// without it the type is a unit struct. Natively the macro only checks that the type plays its roles.
#[macro_export]
macro_rules! export {
    ($plugin:ident : $($role:ident),+ $(,)?) => {
        const _: () = {
            $crate::__hold!($plugin $($role)+);
            $($crate::__export_role!($plugin $role);)+
        };
    };
}

/// Defines where the instance is held.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __hold {
    ($plugin:ident $($role:ident)+) => {
        ::std::thread_local! {
            // A wasm instance has one thread, and the host never calls it while it runs.
            static INSTANCE: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                const { ::std::cell::RefCell::new($crate::__first!($plugin $($role)+)) };
        }

        struct Exported;

        impl $crate::glue::Held for Exported {
            type Plugin = $plugin;

            fn with<R>(act: impl FnOnce(&mut $plugin) -> R) -> R {
                INSTANCE.with_borrow_mut(|held| {
                    act(held.as_mut().expect("the host calls configure before anything else"))
                })
            }

            fn put(plugin: $plugin) {
                INSTANCE.set(::std::option::Option::Some(plugin));
            }
        }

        /// Which SDK this plugin was built with: a custom section, for `bascule plugin inspect`.
        #[unsafe(link_section = "bascule-sdk")]
        #[used]
        static SDK: [u8; $crate::VERSION.len()] = $crate::STAMP;
    };
}

/// What is held before `configure`: a unit struct is itself, anything else is made there.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __first {
    ($plugin:ident) => { ::std::option::Option::Some($plugin) };
    ($plugin:ident lifecycle $($rest:ident)*) => { ::std::option::Option::None };
    ($plugin:ident $other:ident $($rest:ident)*) => { $crate::__first!($plugin $($rest)*) };
}

/// Exports one role.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    ($plugin:ident lifecycle) => {
        $crate::bindings::lifecycle::export_lifecycle!(Exported with_types_in $crate::bindings::lifecycle);
    };
    ($plugin:ident router) => {
        $crate::bindings::router::export_router!(Exported with_types_in $crate::bindings::router);
    };
    ($plugin:ident balancer) => {
        $crate::bindings::balancer::export_balancer!(Exported with_types_in $crate::bindings::balancer);
    };
    ($plugin:ident filter) => {
        $crate::bindings::filter::export_filter!(Exported with_types_in $crate::bindings::filter);
    };
    ($plugin:ident observer) => {
        $crate::bindings::observer::export_observer!(Exported with_types_in $crate::bindings::observer);
    };
    ($plugin:ident timer) => {
        $crate::bindings::timer::export_timer!(Exported with_types_in $crate::bindings::timer);
    };
    ($plugin:ident $other:ident) => { $crate::__no_such_role!($other); };
}

/// Natively nothing holds an instance: the test does. A unit struct has to be one here too.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __hold {
    ($plugin:ident) => { let _ = || $plugin; };
    ($plugin:ident lifecycle $($rest:ident)*) => {};
    ($plugin:ident $other:ident $($rest:ident)*) => { $crate::__hold!($plugin $($rest)*); };
}

/// Natively a role is only checked.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    ($plugin:ident lifecycle) => { $crate::__plays!($plugin Lifecycle); };
    ($plugin:ident router) => { $crate::__plays!($plugin Router); };
    ($plugin:ident balancer) => { $crate::__plays!($plugin Balancer); };
    ($plugin:ident filter) => { $crate::__plays!($plugin Filter); };
    ($plugin:ident observer) => { $crate::__plays!($plugin Observer); };
    ($plugin:ident timer) => { $crate::__plays!($plugin Timer); };
    ($plugin:ident $other:ident) => { $crate::__no_such_role!($other); };
}

/// Fails to compile unless the type implements the role's trait.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __plays {
    ($plugin:ident $role:ident) => {
        const _: fn() = {
            fn plays<T: $crate::$role>() {}
            plays::<$plugin>
        };
    };
}

/// Says which roles there are.
#[doc(hidden)]
#[macro_export]
macro_rules! __no_such_role {
    ($role:ident) => {
        ::std::compile_error!(::std::concat!(
            "there is no role `",
            ::std::stringify!($role),
            "`; the roles are lifecycle, router, balancer, filter, observer and timer"
        ));
    };
}
