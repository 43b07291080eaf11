//! `[tokens]`: whose tokens are good on the baas and the mobile API.

use florin_gateway::http::tokens::{self, Algorithm};
use std::time::Duration;

use super::reader::Section;

/// Most bytes of an issuer's name or a key's id.
const NAME_BYTES_MAX: usize = 255;

/// Reads `[tokens]`, and the key files that it names.
pub(super) fn read(section: &Section<'_>) -> tokens::Settings {
    let default = tokens::Settings::default();
    let settings = tokens::Settings {
        audience: section.parsed("audience", default.audience, name),
        leeway: Duration::from_secs(section.number("leeway_seconds", 0..=600, default.leeway.as_secs())),
        keys: section.list("keys").iter().filter_map(key).collect(),
    };
    section.finish();
    settings
}

fn key(entry: &Section<'_>) -> Option<tokens::Key> {
    let company = entry.required("company", name);
    let issuer = entry.required("issuer", name);
    let kid = entry.parsed("kid", None, |text| name(text).map(Some));
    let algorithm: Option<Algorithm> =
        entry.required("algorithm", |text| text.parse().map_err(|error: tokens::KeyError| error.to_string()));
    let file = entry.required("file", |path| std::fs::read(path).map_err(|error| format!("cannot be read: {error}")));
    entry.finish();
    let (company, issuer, algorithm, file) = (company?, issuer?, algorithm?, file?);
    entry.required("file", |_| {
        tokens::Key::new(&company, &issuer, algorithm, kid.as_deref(), &file).map_err(|error| error.to_string())
    })
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters"))
}
