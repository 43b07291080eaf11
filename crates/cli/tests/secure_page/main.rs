//! The secure card page in a real browser, and what it answers to whoever else asks.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod browser;
#[path = "../serve/server.rs"]
#[allow(dead_code, reason = "shared with other stories")]
mod server;
mod world;

use std::time::{Duration, Instant};

use browser::Browser;
use serde_json::json;
use world::{World, framed, shot};

const FRAME: (&str, &str) = ("sec-fetch-dest", "iframe");

/// A number as the page groups it.
fn grouped(number: &str) -> String {
    [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_it_in_a_frame_of_an_allowed_origin_and_nowhere_else() {
    let world = World::start(&[]).await;
    let [number, expiry, cvv] = world.secrets().await;
    let browser = Browser::start().await;
    let grant = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser.devtools("Browser.grantPermissions", grant).await;
    let seen = async |browser: &Browser| {
        let text = browser.text().await;
        let cvv = browser.run("return !!document.getElementById('cvv')").await;
        text.contains(&grouped(&number)) || cvv == json!(true)
    };

    // Given a link, when it is opened in a window of its own, then nothing is shown
    let link = world.link("en").await;
    browser.go(&link).await;
    assert!(browser.text().await.contains("Nothing is shown here"));
    // Nor in a frame of another origin, whether that says where the frame is or keeps it to itself
    browser.go(&framed(&world.other, &link)).await;
    browser.frame().await;
    assert!(!seen(&browser).await);
    let stolen = world.link("en").await;
    browser.go(&format!("{}&silent=true", framed(&world.other, &stolen))).await;
    browser.frame().await;
    assert!(!seen(&browser).await);

    // When the allowed app frames it, then it is shown: none of that has used the first link up
    browser.go(&framed(&world.allowed, &link)).await;
    browser.frame().await;
    browser.until("return !!document.querySelector('#now') && !document.querySelector('#now').hidden").await;
    let text = browser.text().await;
    for shown in ["Card details", "Card number", &grouped(&number), "Valid until", &expiry, "Security code (CVV)", &cvv]
    {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
    assert_eq!(browser.run("return document.querySelector('main').dataset.seconds").await, "30");
    // It counts down, in sight
    browser.until("return Number(document.querySelector('#left span').textContent) < 30").await;

    // The buttons copy what they say, and tell it to those who cannot see it
    for (name, value, label, said) in [
        ("number", &number, "Copy card number", "Card number copied"),
        ("expiry", &expiry, "Copy expiry date", "Expiry date copied"),
        ("cvv", &cvv, "Copy security code", "Security code copied"),
    ] {
        let button = format!("[data-copy={name}]");
        assert_eq!(browser.told(&button).await, ("button".to_owned(), label.to_owned()));
        browser.click(&button).await;
        browser.until(&format!("return document.getElementById('said').textContent === '{said}'")).await;
        assert_eq!(browser.run(&format!("return document.querySelector('{button}').textContent")).await, "Copied");
        browser.top().await;
        let copied =
            browser.run_async("navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))").await;
        assert_eq!(copied, json!(value));
        browser.frame().await;
    }
    assert_eq!(browser.told("#left").await.0, "timer");
    assert_eq!(browser.run("return document.getElementById('said').getAttribute('aria-live')").await, "polite");
    assert_eq!(browser.run("return document.documentElement.lang").await, "en");
    // Every button is reached by the keyboard, in the order in which it is read
    let order = "return [...document.querySelectorAll('button')].map(b => (b.focus(), document.activeElement === b && b.tabIndex === 0))";
    assert_eq!(browser.run(order).await, json!([true, true, true, true]));
    browser.until("return document.querySelector('[data-copy=cvv]').textContent === 'Copy'").await;
    browser.top().await;
    browser.screenshot(&shot("light")).await;
    browser.frame().await;

    // When it is hidden, then it is gone from the document, and a reader is told so
    browser.click("#now").await;
    assert!(!seen(&browser).await);
    let html = browser.run("return document.documentElement.outerHTML").await;
    assert!(!html.as_str().unwrap().contains(&grouped(&number)));
    assert_eq!(browser.run("return document.getElementById('said').textContent").await, "Details hidden");
    assert_eq!(browser.run("return document.activeElement.id").await, "after");
    browser.top().await;
    browser.screenshot(&shot("hidden")).await;

    // When the frame is loaded again, then the link has been used
    browser.go(&framed(&world.allowed, &link)).await;
    browser.frame().await;
    assert!(browser.text().await.contains("This link has been used or has expired"));

    // In German and in the dark, and everything is readable in both
    for (language, scheme, name) in [("de-DE, en;q=0.5", "dark", "dark"), ("fr", "light", "french")] {
        browser.top().await;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        browser.go(&framed(&world.allowed, &world.link(language).await)).await;
        browser.frame().await;
        assert!(seen(&browser).await);
        assert_eq!(browser.run("return document.documentElement.lang").await, json!(&language[..2]));
        let title = if scheme == "dark" { "Kartendaten" } else { "Données de la carte" };
        assert!(browser.text().await.contains(title));
        assert_eq!(browser.run(CONTRASTS).await, json!([]), "{scheme}");
        // Nothing is cut off in the frame
        assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
        if scheme == "dark" {
            browser.click("[data-copy=number]").await;
            browser.until("return document.querySelector('[data-copy=number]').textContent === 'Kopiert'").await;
        }
        browser.top().await;
        browser.screenshot(&shot(name)).await;
    }
    // In a small phone, too
    let phone = json!({"width": 300, "height": 420, "deviceScaleFactor": 2, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", phone).await;
    browser.go(&framed(&world.allowed, &world.link("de").await)).await;
    browser.frame().await;
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
    browser.top().await;
    browser.screenshot(&shot("narrow")).await;
    browser.end().await;
}

/// Every text whose contrast with what is behind it is below 4.5 (WCAG 2.2, 1.4.3).
const CONTRASTS: &str = "
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const low = [];
  for (const e of document.querySelectorAll('h1, dt, .value, button, #left')) {
    const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(behind(e).slice(0, 3))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (!(ratio >= 4.5)) low.push([e.className || e.tagName, ratio]);
  }
  return low;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_hides_itself_and_a_link_ends_with_its_time() {
    let world =
        World::start(&[("FLORIN_SECURE_PAGE_TOKEN_SECONDS", "15"), ("FLORIN_SECURE_PAGE_SHOWN_SECONDS", "3")]).await;
    let browser = Browser::start().await;
    let late = world.link("de").await;
    let since = Instant::now();
    // Given a page that shows, when its time is over, then it shows nothing by itself
    browser.go(&framed(&world.allowed, &world.link("en").await)).await;
    browser.frame().await;
    browser
        .until("return document.getElementById('after')?.hidden === false && !document.getElementById('secrets')")
        .await;
    let [number, ..] = world.secrets().await;
    let text = browser.text().await;
    assert!(text.contains("Details hidden") && !text.contains(&grouped(&number)), "{text}");
    browser.end().await;
    // A link that nobody used in its time is worth nothing afterwards
    tokio::time::sleep(Duration::from_millis(15_500).saturating_sub(since.elapsed())).await;
    let answer = world.load(&late, &[FRAME]).await;
    assert_eq!(answer.status(), 410);
    let page = answer.text().await.unwrap();
    assert!(page.contains("verbraucht oder abgelaufen") && !page.contains(&grouped(&number)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_works_once_whoever_asks_and_tells_nothing_else() {
    let world = World::start(&[]).await;
    let [number, _, cvv] = world.secrets().await;

    // Given a link, when many load it at once, then one of them sees the card
    let link = world.link("").await;
    let loads = (0..12).map(|_| {
        let request = world.http.get(&link).header(FRAME.0, FRAME.1);
        tokio::spawn(async move { request.send().await.unwrap() })
    });
    let mut shown = 0;
    for load in loads.collect::<Vec<_>>() {
        let answer = load.await.unwrap();
        let status = answer.status().as_u16();
        let page = answer.text().await.unwrap();
        assert!(status == 200 || status == 410, "{status}: {page}");
        assert_eq!(page.contains(&grouped(&number)), status == 200);
        shown += u32::from(status == 200);
    }
    assert_eq!(shown, 1);

    // Without a language of the app's, the browser's counts; headers let nothing else in
    let answer = world.load(&world.link("").await, &[FRAME, ("accept-language", "fr-CH, de;q=0.9")]).await;
    assert_eq!(answer.status(), 200);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-language", "fr"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; ") && policy.ends_with(&format!("frame-ancestors {}", world.allowed))
    );
    assert!(!policy.contains("unsafe") && answer.headers().get("access-control-allow-origin").is_none());
    assert!(answer.headers()["permissions-policy"].to_str().unwrap().contains("clipboard-write=(self)"));
    let page = answer.text().await.unwrap();
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<html lang=\"fr\">") && page.contains(&format!(">{cvv}<")));

    // What is no frame of the app's is refused, and uses nothing up
    let link = world.link("en").await;
    let elsewhere = format!("{}/", world.other);
    for headers in [
        &[("sec-fetch-dest", "document")][..],
        &[("sec-fetch-dest", "empty")],
        &[("sec-fetch-dest", "image")],
        &[FRAME, ("sec-purpose", "prefetch")],
        &[FRAME, ("referer", &elsewhere)],
    ] {
        let answer = world.load(&link, headers).await;
        assert_eq!(answer.status(), 403, "{headers:?}");
        assert!(!answer.text().await.unwrap().contains(&grouped(&number)));
    }
    assert_eq!(world.http.head(&link).header(FRAME.0, FRAME.1).send().await.unwrap().status(), 405);
    let referrer = format!("{}/", world.allowed);
    assert_eq!(world.load(&link, &[FRAME, ("referer", &referrer)]).await.status(), 200);

    // A link that was never made, or was changed, is told in the browser's language
    let link = world.link("en").await;
    let (path, ticket) = link.rsplit_once('/').unwrap();
    let changed = format!("{path}/{}{}", &ticket[..ticket.len() - 1], if ticket.ends_with('A') { 'B' } else { 'A' });
    let long = format!("{path}/{}", "A".repeat(4_000));
    for forged in [changed, format!("{path}/x"), format!("{path}/%ff"), long] {
        let answer = world.load(&forged, &[FRAME, ("accept-language", "de")]).await;
        assert_eq!(answer.status(), 404, "{forged}");
        assert!(answer.text().await.unwrap().contains("Dieser Link ist ungültig"));
    }

    // And no ticket is in the log
    let log = world.server.logged();
    assert!(!log.contains(ticket) && !log.contains(&number));
}
