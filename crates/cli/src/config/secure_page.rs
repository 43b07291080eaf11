//! `[secure_page]`: where the page that shows a card's secrets is, and who may frame it.

use std::time::Duration;

use florin_gateway::secure_page::{Origin, OriginError, SHOWN_FOR, Settings, TOKEN_FOR};

use super::reader::Section;

/// Most origins; they all stand in a header of every page.
const ORIGINS_MAX: usize = 32;

/// Reads `[secure_page]`; `None` without a base URL.
pub(super) fn read(section: &Section<'_>) -> Option<Settings> {
    let base_url = section.parsed("base_url", None, |text| base_url(text).map(Some));
    let origins = section.texts("allowed_origins", |text| {
        text.parse::<Origin>().map_err(|error: OriginError| format!("{error}, not {text:?}"))
    });
    let seconds = |key, most: Duration| Duration::from_secs(section.number(key, 1..=most.as_secs(), most.as_secs()));
    let (token_for, shown_for) = (seconds("token_seconds", TOKEN_FOR), seconds("shown_seconds", SHOWN_FOR));
    if origins.len() > ORIGINS_MAX {
        section.complain("allowed_origins", &format!("must be at most {ORIGINS_MAX}, not {}", origins.len()));
    }
    if base_url.is_none() && !origins.is_empty() {
        section.missing("base_url");
    }
    section.finish();
    base_url.map(|base_url| Settings { base_url, allowed_origins: origins, token_for, shown_for })
}

/// An origin, perhaps with a path.
fn base_url(text: &str) -> Result<String, String> {
    let must = "must be an address such as \"https://cards.example\", perhaps with a path, without a query";
    let text = text.strip_suffix('/').unwrap_or(text);
    let (_, rest) = text.split_once("://").ok_or(must)?;
    let (origin, path) = match rest.find('/') {
        Some(at) => text.split_at(text.len() - rest.len() + at),
        None => (text, ""),
    };
    let visible = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if origin.ends_with('*') || path.len() > 255 || !path.bytes().all(visible) {
        return Err(must.to_owned());
    }
    origin.parse::<Origin>().map_err(|error| match error {
        OriginError::Form => must.to_owned(),
        error => error.to_string(),
    })?;
    Ok(text.to_owned())
}
