//! Request bodies: declared as JSON, read whole, bounded in bytes and in time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::problem::Problem;

/// Most bytes a body may have (apis.md, For all three).
pub const BYTES_MAX: usize = 64 * 1024;
/// How long a body may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read and thrown away, so that the caller gets to read the answer.
const DRAIN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Reads a JSON body: 415 unless it is declared as JSON, 413 over [`BYTES_MAX`], 408 when it does not come.
pub async fn json(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        return Err(Problem::MediaType);
    }
    whole(body).await
}

/// Reads a body of any type.
pub async fn whole(mut body: Body) -> Result<Bytes, Problem> {
    let read = async {
        match Limited::new(&mut body, BYTES_MAX).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                drain(&mut body).await;
                Err(Problem::BodyTooLarge { bytes_max: BYTES_MAX })
            }
            Err(_) => Err(Problem::Malformed("the body broke off".into())),
        }
    };
    tokio::time::timeout(READ_TIMEOUT, read).await.unwrap_or(Err(Problem::BodyTimeout))
}

/// Throws away what still comes, one piece at a time, within bounds.
async fn drain(body: &mut Body) {
    let mut drained = 0;
    while drained < DRAIN_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => drained += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// `application/json` or `application/…+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or("").trim_ascii();
    if essence.eq_ignore_ascii_case("application/json") {
        return true;
    }
    let essence = essence.to_ascii_lowercase();
    essence.starts_with("application/") && essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_is_json() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_above_it_refused() {
        let read = whole(Body::from(vec![b' '; BYTES_MAX])).await;
        assert_eq!(read.map(|bytes| bytes.len()), Ok(BYTES_MAX));
        let refused = whole(Body::from(vec![b' '; BYTES_MAX + 1])).await;
        let bytes_max = BYTES_MAX;
        assert_eq!(refused, Err(Problem::BodyTooLarge { bytes_max }));
    }
}
