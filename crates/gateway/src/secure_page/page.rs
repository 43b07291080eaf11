//! The page itself: HTML, style and script in one document, each allowed by its hash and nothing else by anything.

use std::{fmt::Write, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{
    Settings,
    texts::{Language, Notice, Texts},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

const CARD_ICON: &str = r#"<svg width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" aria-hidden="true"><rect x="2.5" y="5" width="19" height="14" rx="3"/><path d="M2.5 9.5h19M6.5 15h4"/></svg>"#;
const LOCK_ICON: &str = r#"<svg width="36" height="36" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true"><rect x="5" y="10.5" width="14" height="9.5" rx="2.5"/><path d="M8 10.5V8a4 4 0 0 1 8 0v2.5"/></svg>"#;

/// On every answer of the page, whatever it says.
const HEADERS: [(HeaderName, &str); 9] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::VARY, "Accept-Language, Sec-Fetch-Dest"),
    (
        HeaderName::from_static("permissions-policy"),
        "clipboard-write=(self), clipboard-read=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), \
         microphone=(), payment=(), usb=()",
    ),
    // A frame of another site is what this is for; to be loaded as anything else is not.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("origin-agent-cluster"), "?1"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
];

/// What is shown of a card. Never printed, never kept.
pub(super) struct Secrets<'a> {
    pub(super) number: &'a str,
    pub(super) expiry: &'a str,
    pub(super) cvv: &'a str,
}

/// Everything about the page that does not change from one card to the next.
pub(super) struct Page {
    style: String,
    policy: Option<HeaderValue>,
    shown_for: Duration,
}

impl Page {
    pub(super) fn new(settings: &Settings) -> Self {
        let style = format!(":root{{--shown:{}s}}\n{STYLE}", settings.shown_for.as_secs());
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
        let ancestors: Vec<String> = settings.allowed_origins.iter().map(ToString::to_string).collect();
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
             require-trusted-types-for 'script'; frame-ancestors {}",
            hash(&style),
            hash(SCRIPT),
            ancestors.join(" "),
        );
        Self { policy: HeaderValue::from_str(&policy).ok(), style, shown_for: settings.shown_for }
    }

    /// The page with a card's secrets.
    pub(super) fn secrets(&self, language: Language, secrets: &Secrets<'_>) -> Response {
        let texts = language.texts();
        let seconds = self.shown_for.as_secs();
        let Texts { title, copy, copied, copy_failed, left: [before, after], hide, hidden, .. } = texts;
        let rows = [
            ("number", texts.number, grouped(secrets.number)),
            ("expiry", texts.expiry, secrets.expiry.to_owned()),
            ("cvv", texts.cvv, secrets.cvv.to_owned()),
        ];
        let mut list = String::new();
        for ((id, name, value), (label, done)) in rows.iter().zip(texts.copy_each.iter().zip(texts.copied_each)) {
            let (value, label, done) = (escaped(value), escaped(label), escaped(done));
            // Writing to a string cannot fail.
            let _ = write!(
                list,
                "<div class=\"{id}\"><dt>{}</dt><dd><span class=\"value\" id=\"{id}\" translate=\"no\">{value}</span>\
                 <button type=\"button\" data-copy=\"{id}\" data-done=\"{done}\" aria-label=\"{label}\" hidden>{}</button>\
                 </dd></div>",
                escaped(name),
                escaped(copy),
            );
        }
        let body = format!(
            "<main data-seconds=\"{seconds}\" data-copied=\"{}\" data-failed=\"{}\" data-hidden=\"{}\">\
             <section id=\"secrets\" aria-labelledby=\"title\">\
             <header>{CARD_ICON}<h1 id=\"title\">{title}</h1></header><dl>{list}</dl>\
             <footer><span class=\"bar\" aria-hidden=\"true\"></span>\
             <span id=\"left\" role=\"timer\">{before}<span>{seconds}</span>{after}</span>\
             <button type=\"button\" id=\"now\" hidden>{}</button></footer></section>\
             <section id=\"after\" class=\"notice\" tabindex=\"-1\" hidden>{LOCK_ICON}<h2>{}</h2><p>{}</p></section>\
             <p id=\"said\" class=\"said\" role=\"status\" aria-live=\"polite\"></p></main><script>{SCRIPT}</script>",
            escaped(copied),
            escaped(copy_failed),
            escaped(hidden.title),
            escaped(hide),
            escaped(hidden.title),
            escaped(hidden.text),
        );
        self.answer(StatusCode::OK, language, &body)
    }

    /// The page without any data.
    pub(super) fn notice(&self, status: StatusCode, language: Language, notice: &Notice) -> Response {
        let body = format!(
            "<main class=\"notice\">{LOCK_ICON}<h1>{}</h1><p>{}</p></main>",
            escaped(notice.title),
            escaped(notice.text)
        );
        self.answer(status, language, &body)
    }

    fn answer(&self, status: StatusCode, language: Language, body: &str) -> Response {
        let html = format!(
            "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><style>{}</style></head>\
             <body>{body}</body></html>",
            language.tag(),
            escaped(language.texts().title),
            self.style,
        );
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // Without one the edge's own stands, which frames nothing.
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        response
    }
}

/// A card number in groups of four.
fn grouped(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    digits.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

/// A text as it stands in HTML, in an element or in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn page() -> Page {
        Page::new(&Settings {
            base_url: String::new(),
            allowed_origins: vec!["https://shop.example".parse().unwrap(), "http://localhost:*".parse().unwrap()],
            token_for: Duration::from_mins(1),
            shown_for: Duration::from_secs(30),
        })
    }

    fn text(response: Response) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(response.into_body().collect()).unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn whatever_an_issuer_says_is_text_and_no_markup() {
        let evil = "<script>x</script>\"'&";
        let secrets = Secrets { number: "4000001234567890", expiry: evil, cvv: "123" };
        let html = text(page().secrets(Language::English, &secrets));
        assert!(html.contains(">4000 0012 3456 7890<"));
        assert!(html.contains("&lt;script&gt;x&lt;/script&gt;&quot;&#39;&amp;"));
        assert_eq!(html.matches("<script>").count(), 1);
    }

    #[test]
    fn the_policy_lets_in_this_style_and_this_script_only() {
        let response = page().notice(StatusCode::GONE, Language::German, &Language::German.texts().used);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(policy.ends_with("; frame-ancestors https://shop.example http://localhost:*"));
        assert!(!policy.contains("unsafe"));
        let html = text(response);
        assert!(html.contains("<html lang=\"de\">") && !html.contains("<script"));
        let style = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(style.as_bytes()))));
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()))));
    }
}
