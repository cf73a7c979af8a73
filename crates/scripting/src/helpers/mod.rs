//! What scripts can call: one table, a file for each global.

mod call;
mod console;
mod file;
mod hub;
mod jobs;
mod kfl;
mod paths;
mod pcap;
mod prometheus;
mod test;
mod utils;
mod vendor;
mod wrapper;

use boa_engine::{JsResult, JsValue};

pub use call::Call;

/// A function that scripts can call. The documentation and `kubeshark.d.ts` are made from these.
#[derive(Clone, Copy)]
pub struct Helper {
    /// Its full name: `vendor.s3.put`.
    pub name: &'static str,
    /// In TypeScript's notation, from the name on.
    pub signature: &'static str,
    /// What it does, what it returns, when it throws; Markdown, one paragraph.
    pub doc: &'static str,
    /// Does it.
    pub call: fn(&mut Call<'_>) -> JsResult<JsValue>,
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature)
    }
}

/// Every helper, a list for each global.
pub const HELPERS: &[&[Helper]] = &[
    console::HELPERS,
    test::HELPERS,
    kfl::HELPERS,
    pcap::HELPERS,
    file::HELPERS,
    jobs::HELPERS,
    utils::HELPERS,
    hub::HELPERS,
    prometheus::HELPERS,
    wrapper::HELPERS,
    vendor::webhook::HELPERS,
    vendor::slack::HELPERS,
    vendor::influxdb::HELPERS,
    vendor::elastic::HELPERS,
    vendor::s3::HELPERS,
    vendor::gcs::HELPERS,
    vendor::azure::HELPERS,
    vendor::kinesis::HELPERS,
];

/// Every helper, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Helper> {
    HELPERS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_open_their_signatures() {
        let mut seen = BTreeSet::new();
        for helper in all() {
            assert!(seen.insert(helper.name), "{} is there twice", helper.name);
            assert!(helper.signature.starts_with(&format!("{}(", helper.name)), "{helper:?}");
            assert!(helper.doc.ends_with('.'), "{helper:?}: a sentence");
        }
    }
}
