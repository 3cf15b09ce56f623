//! Ports that are opened, kept, handed over and inherited.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;

use super::*;

fn wanted(name: &str, address: &str) -> Wanted {
    Wanted { name: name.parse().unwrap(), address: address.parse().unwrap() }
}

#[test]
fn what_is_open_stays_and_what_moves_is_another() {
    let ports = Ports::new(2, Vec::new());
    let first = ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap();
    assert_eq!(ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap(), first);
    let other = ports.open(&[wanted("b", "127.0.0.1:0")]).unwrap();
    assert_ne!(other[0].id, first[0].id);
    let address = first[0].address.to_string();
    let moved = ports.open(&[wanted("a", &address)]).unwrap();
    assert_ne!(moved[0].id, first[0].id, "port 0 was asked for before, and now this one");
}

#[test]
fn a_listener_that_only_changes_its_name_keeps_its_sockets() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ports = Ports::new(1, Vec::new());
    let before = ports.open(&[wanted("a", &free)]).unwrap();
    assert_eq!(ports.open(&[wanted("b", &free)]).unwrap(), before);
}

#[test]
fn one_address_that_is_taken_opens_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ports = Ports::new(1, Vec::new());
    let all = [wanted("a", &free.to_string()), wanted("b", &taken.local_addr().unwrap().to_string())];
    let refused = ports.open(&all).unwrap_err();
    assert_eq!((refused.len(), refused[0].wanted.name.as_str()), (1, "b"));
    assert!(TcpStream::connect(free).is_err(), "what was opened is closed again");
}

#[test]
fn each_socket_is_served_by_one_worker_and_closed_by_the_last_who_has_it() {
    let ports = Ports::new(2, Vec::new());
    let opened = ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap()[0];
    let taken = [0, 1].map(|worker| ports.take(opened.id, worker).unwrap());
    assert_eq!(taken.each_ref().map(Vec::len), [1, 1]);
    ports.keep(|_| false);
    assert!(ports.take(opened.id, 0).unwrap().is_empty());
    TcpStream::connect(opened.address).unwrap();
    drop(taken);
    assert!(TcpStream::connect(opened.address).is_err());
}

/// What one gateway hands to another, of which `workers` share the ports.
fn successor(of: &Ports, workers: usize) -> Ports {
    Ports::new(workers, of.hand_out().unwrap())
}

#[test]
fn a_successor_serves_on_the_very_sockets_with_fewer_or_more_workers() {
    let old = Ports::new(2, Vec::new());
    let port = old.open(&[wanted("a", "127.0.0.1:0")]).unwrap()[0];
    for (workers, sockets) in [(1, vec![2]), (2, vec![1, 1]), (3, vec![1, 1, 1])] {
        let new = successor(&old, workers);
        let opened = new.open(&[wanted("a", "127.0.0.1:0")]).unwrap()[0];
        assert_eq!(opened.address, port.address);
        let taken = (0..workers).map(|worker| new.take(opened.id, worker).unwrap().len());
        assert_eq!(taken.collect::<Vec<_>>(), sockets);
        assert_eq!(new.adopted(), [port.id.number()]);
        assert!(new.drop_inherited().is_empty());
    }
    assert!(!old.is_held(port.id));
    old.give(&[port.id.number()]);
    old.keep(|_| false);
    assert!(old.is_held(port.id), "also when it is closed here");
}

#[test]
fn sockets_of_the_control_path_are_inherited_where_they_are_wanted() {
    let old = Ports::new(1, Vec::new());
    let address = "127.0.0.1:0".parse().unwrap();
    let owners = [Owner::Admin, Owner::Registry];
    let opened = owners.clone().map(|owner| old.open_own(owner, address).unwrap());
    assert!(opened.iter().all(|(_, is_inherited)| !is_inherited));
    let new = successor(&old, 1);
    for (owner, (socket, _)) in owners.into_iter().zip(opened) {
        let (same, is_inherited) = new.open_own(owner, address).unwrap();
        assert!(is_inherited);
        assert_eq!(same.local_addr().unwrap(), socket.local_addr().unwrap());
    }
}

#[test]
fn what_a_service_manager_keeps_goes_to_its_name_or_to_its_address_and_is_shared() {
    let named = |owner: Owner| {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (address, Handed { number: 0, owner, address, is_held: true, sockets: vec![socket] })
    };
    let (by_name, first) = named(Owner::Listener("a".parse().unwrap()));
    let (by_address, second) = named(Owner::Anyone);
    let (unused, third) = named(Owner::Listener("c".parse().unwrap()));
    let ports = Ports::new(3, vec![first, second, third]);
    let all = [wanted("a", "127.0.0.1:1"), wanted("b", &by_address.to_string())];
    let opened = ports.open(&all).unwrap();
    assert_eq!([opened[0].address, opened[1].address], [by_name, by_address]);
    assert!(ports.is_held(opened[0].id));
    for worker in 0..3 {
        assert_eq!(ports.take(opened[0].id, worker).unwrap().len(), 1);
    }
    assert_eq!(ports.drop_inherited(), [unused]);
    assert_eq!(ports.open(&all).unwrap(), opened, "a reload keeps them");
}
