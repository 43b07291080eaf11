//! How long requests took, by route, method and class of status.
//!
//! Each thread keeps the handles it has used, so that a request costs a look-up and no label is written anew. Bounded by the
//! routes there are. Install a recorder first: a handle made before it records nothing.

use std::{cell::RefCell, collections::HashMap};

use metrics::Histogram;

/// The handles of one route, by method and class of status.
type OfRoute = Vec<(&'static str, &'static str, Histogram)>;

thread_local! {
    static KNOWN: RefCell<HashMap<String, OfRoute>> = RefCell::default();
}

/// Records one request. `route` is the route's pattern, never a path.
pub fn record(route: &str, method: &'static str, class: &'static str, seconds: f64) {
    KNOWN.with_borrow_mut(|known| {
        if let Some(of_route) = known.get_mut(route) {
            if let Some((.., timings)) = of_route.iter().find(|(of, status, _)| *of == method && *status == class) {
                timings.record(seconds);
                return;
            }
            let timings = handle(route, method, class);
            timings.record(seconds);
            of_route.push((method, class, timings));
            return;
        }
        let timings = handle(route, method, class);
        timings.record(seconds);
        known.insert(route.to_owned(), vec![(method, class, timings)]);
    });
}

fn handle(route: &str, method: &'static str, class: &'static str) -> Histogram {
    metrics::histogram!("florin_http_seconds", "route" => route.to_owned(), "method" => method, "status" => class)
}
