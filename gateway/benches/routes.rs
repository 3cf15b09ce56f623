//! Finding a route among 1, 10 and 10,000: it shall cost about the same.

use std::hint::black_box;

use bascule::http::head::RequestHead;
use bascule::snapshot::routes::{HostPattern, PathPattern, RouteMatch, RouteTable};
use criterion::{Criterion, criterion_group, criterion_main};

/// Hosts with ten paths each.
fn route(number: usize) -> (RouteMatch, usize) {
    let host = HostPattern::Exact(format!("host-{}.example.com", number / 10).into());
    let path = PathPattern::Prefix(format!("/api/service-{}", number % 10).into());
    let any = (None, Vec::new(), Vec::new());
    let (listeners, methods, headers) = any;
    (RouteMatch { listeners, host, path, methods, headers }, number)
}

fn request(host: &str, path: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.add(b"Host", host.as_bytes());
    head.fields.add(b"Accept", b"*/*");
    head.set_path(path.as_bytes());
    head
}

fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route among");
    for count in [1, 10, 10_000] {
        let table = RouteTable::new((0..count).map(route).collect()).expect("no two are the same");
        let last = count - 1;
        let host = format!("host-{}.example.com", last / 10);
        let request = request(&host, &format!("/api/service-{}/users/1?full=1", last % 10));
        assert_eq!(table.find(0, &request), Some(&last));
        group
            .bench_function(count.to_string(), |bencher| bencher.iter(|| table.find(0, black_box(&request))));
    }
    let table = RouteTable::new((0..10_000).map(route).collect()).expect("no two are the same");
    let stranger = request("host-1.example.com", &"/".repeat(8000));
    group.bench_function("10000, hostile path", |bencher| {
        bencher.iter(|| table.find(0, black_box(&stranger)))
    });
}

criterion_group!(benches, routes);
criterion_main!(benches);
