//! The contract as Rust, generated from `wit/bascule.wit`: one small world for each role, so that a
//! plugin exports just the roles that it names. Nothing here is written by hand, and nothing outside
//! `host` and `glue` may use it.
//!
//! What is generated has `unsafe` in it, here and where `export!` expands. Crates that forbid `unsafe_code` build all the
//! same, since rustc does not lint the inside of other crates' macros; so no lint is relaxed, here or for authors.

/// What a plugin may import; the role worlds share these.
pub mod imports {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

/// One role's world: its `Guest` trait, and the macro that exports it.
macro_rules! role {
    ($module:ident, $world:literal, $macro_name:literal, $path:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $macro_name,
                default_bindings_module: $path,
                with: {
                    "bascule:plugin/request@0.1.0": crate::bindings::imports::bascule::plugin::request,
                    "bascule:plugin/response@0.1.0": crate::bindings::imports::bascule::plugin::response,
                    "bascule:plugin/reply@0.1.0": crate::bindings::imports::bascule::plugin::reply,
                    "bascule:plugin/nodes@0.1.0": crate::bindings::imports::bascule::plugin::nodes,
                    "bascule:plugin/outcome@0.1.0": crate::bindings::imports::bascule::plugin::outcome,
                    "bascule:plugin/log@0.1.0": crate::bindings::imports::bascule::plugin::log,
                    "bascule:plugin/metrics@0.1.0": crate::bindings::imports::bascule::plugin::metrics,
                    "bascule:plugin/sessions@0.1.0": crate::bindings::imports::bascule::plugin::sessions,
                    "bascule:plugin/shared@0.1.0": crate::bindings::imports::bascule::plugin::shared,
                    "bascule:plugin/spare@0.1.0": crate::bindings::imports::bascule::plugin::spare,
                },
            });
            pub use exports::bascule::plugin::$module::*;
        }
    };
}

role!(lifecycle, "lifecycle-plugin", "export_lifecycle", "bascule_plugin::bindings::lifecycle");
role!(router, "router-plugin", "export_router", "bascule_plugin::bindings::router");
role!(balancer, "balancer-plugin", "export_balancer", "bascule_plugin::bindings::balancer");
role!(filter, "filter-plugin", "export_filter", "bascule_plugin::bindings::filter");
role!(observer, "observer-plugin", "export_observer", "bascule_plugin::bindings::observer");
role!(timer, "timer-plugin", "export_timer", "bascule_plugin::bindings::timer");
