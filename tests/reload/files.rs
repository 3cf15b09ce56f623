//! The ways in which files change: links that are swapped, writes without end, every kind of file that is no plugin.

use super::{gateway_with_picker, loads, next_nodes, stays_with_one, takes_turns, two_nodes};
use crate::support::{TestGateway, plugin_file, wait_until};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Puts a link in place as Kubernetes does: beside it, then renamed.
fn swap_link(folder: &Path, name: &str, to: &str) {
    let beside = folder.join("..link");
    symlink(to, &beside).expect("the link is made");
    fs::rename(&beside, folder.join(name)).expect("the link is put in place");
}

#[test]
fn a_swap_of_kubernetes_data_link_is_seen() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let folder = gateway.plugin_folder();
    for (version, plugin) in [("..2001", "round_robin.wasm"), ("..2002", "consistent_hash.wasm")] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("picker.wasm"), plugin_file(plugin)).unwrap();
    }
    swap_link(&folder, "..data", "..2001");
    swap_link(&folder, "picker.wasm", "..data/picker.wasm");
    assert!(takes_turns(&next_nodes(&gateway)));
    swap_link(&folder, "..data", "..2002");
    wait_until("the new version picks", || stays_with_one(&next_nodes(&gateway)));
    assert_eq!(
        (loads(&gateway, "loaded"), loads(&gateway, "refused")),
        (2.0, 0.0),
        "the same bytes behind a link are no change"
    );
}

#[test]
fn a_hundred_writes_are_a_few_compilations() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let compilations = || gateway.metric("bascule_plugin_compilations_total", &[]);
    let before = compilations();
    for number in 0..100_u8 {
        let mut content = plugin_file("round_robin.wasm");
        content.extend([0, 2, 1, number]);
        gateway.drop_plugin("picker.wasm", &content);
        next_nodes(&gateway);
    }
    gateway.drop_plugin("picker.wasm", &plugin_file("consistent_hash.wasm"));
    wait_until("the last one picks", || stays_with_one(&next_nodes(&gateway)));
    // A write that is followed by another within a tenth of a second is never looked at.
    let made = compilations() - before;
    assert!((1.0..=30.0).contains(&made), "{made} compilations of 101 contents");
    assert_eq!(loads(&gateway, "refused"), 0.0);
}

#[test]
fn whatever_is_no_plugin_is_refused_with_what_it_is_and_what_to_do() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let place = gateway.plugin_folder().join("picker.wasm");
    let refused = |count: u32, words: &str| {
        wait_until(&format!("{words} is told"), || loads(&gateway, "refused") == f64::from(count));
        let row = gateway.plugin_row("picker");
        let why = row["last"]["why"].as_str().unwrap_or("");
        assert!(why.contains(words) && !why.contains('\n'), "{words:?} is missing in: {why}");
    };
    let mut precompiled = b"\x7fELF\x02\x01\x01\xc8".to_vec();
    precompiled.extend([0; 100]);
    let module = |export: &str| {
        let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07".to_vec();
        module.extend([export.len() as u8 + 4, 1, export.len() as u8]);
        module.extend(export.as_bytes());
        module.extend(b"\0\0\x0a\x04\x01\x02\0\x0b");
        module
    };
    let mut cut = plugin_file("round_robin.wasm");
    cut.truncate(cut.len() / 2);
    for (count, (content, words)) in (1..).zip([
        (module("f"), "without Bascule's types; write it with the bascule-plugin SDK"),
        (module("_start"), "a command with a main function; build a library instead"),
        (module("proxy_abi_version_0_2_1"), "a proxy-wasm filter, for Envoy and its kin"),
        (precompiled, "a precompiled .cwasm, which is native code and never run; put the .wasm file here"),
        (b"hello".to_vec(), "a text file, not WebAssembly; build the plugin with `cargo build"),
        (Vec::new(), "the file is empty; if it is being copied"),
        (cut, "the file ends in the middle"),
    ]) {
        gateway.drop_plugin("picker.wasm", &content);
        refused(count, words);
    }
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    refused(8, "this is a folder; put the .wasm file itself here");
    fs::remove_dir(&place).unwrap();
    fs::File::create(&place).unwrap().set_len(200 << 20).unwrap();
    refused(9, "it has 200 MiB, and a plugin may have 64");
    fs::remove_file(&place).unwrap();
    symlink(&place, &place).unwrap();
    refused(10, "it cannot be read");
    assert!(takes_turns(&next_nodes(&gateway)), "the good one still picks");
    fs::remove_file(&place).unwrap();
    gateway.drop_plugin("picker.wasm", &plugin_file("consistent_hash.wasm"));
    wait_until("a plugin is taken again", || stays_with_one(&next_nodes(&gateway)));
}

#[test]
fn a_restart_finds_its_plugins_compiled_and_its_good_versions() {
    let nodes = two_nodes();
    let state = tempfile::tempdir().unwrap();
    let text = format!(
        "[plugins]\ndirectory = \"plugins\"\nstate_directory = \"{}\"\n[plugin.picker]\nfile = \"picker.wasm\"\n\
         [route.all]\npool = \"main\"\n[pool.main]\npolicy = \"picker\"\nnodes = [{{nodes}}]",
        state.path().display()
    );
    let start = |files: &[(&str, &[u8])]| TestGateway::with_files(&text, &[&nodes[0], &nodes[1]], files);
    let functions = |gateway: &TestGateway, from: &str| {
        gateway.metric("bascule_plugin_functions_total", &[("from", from)])
    };
    let good = plugin_file("round_robin.wasm");
    let gateway = start(&[("picker.wasm", &good)]);
    let compiled = functions(&gateway, "compiler");
    assert!(takes_turns(&next_nodes(&gateway)) && compiled > 100.0);
    gateway.stop();
    for file in [&b"bad"[..], &good] {
        let gateway = start(&[("picker.wasm", file)]);
        assert!(takes_turns(&next_nodes(&gateway)));
        assert_eq!(gateway.admin("/readyz").status, 200);
        assert!(functions(&gateway, "compiler") * 5.0 < compiled, "it was compiled again");
        assert_eq!(
            gateway.plugin_row("picker")["last"]["outcome"],
            if *file == good { "loaded" } else { "refused" }
        );
        gateway.stop();
    }
    let gateway = start(&[]);
    assert!(takes_turns(&next_nodes(&gateway)), "the file is gone");
    assert_eq!(gateway.plugin_row("picker")["last"]["outcome"], "deleted");
}
