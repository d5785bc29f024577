//! Bodies as the vendor documents them, and replies as it sends them, whole and harmed.

use super::*;
use proptest::prelude::*;

/// What the vendor's documentation prints (its licence travels with the file, see `tests/fixtures/README.md`).
fn recorded(name: &str) -> serde_json::Value {
    let all = include_str!("../../tests/fixtures/webapi_exchanges.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(all).unwrap();
    all.into_iter().find(|one| one["name"] == name).unwrap()
}

fn recorded_replies(exchange: &serde_json::Value) -> Vec<(u16, Option<String>, String)> {
    let reply = &exchange["response"];
    let kind = reply["headers"]["Content-Type"].as_str();
    assert!(is_multipart(kind));
    let body = reply["body"].as_str().unwrap();
    replies(kind, body.as_bytes())
        .unwrap()
        .iter()
        .map(|part| {
            let id = part.header("odata-entityid").map(str::to_owned);
            let body = String::from_utf8(part.body.to_vec()).unwrap();
            (part.status, id, body)
        })
        .collect()
}

#[test]
fn recorded_change_sets_are_taken_apart() {
    let parts = recorded_replies(&recorded("batch_changeset_three_creates"));
    assert_eq!(parts.len(), 3);
    for ((status, id, body), set) in parts.iter().zip(["leads(", "contacts(", "accounts("]) {
        assert_eq!((*status, body.as_str()), (204, ""));
        assert!(id.as_deref().unwrap().contains(set), "{id:?}");
    }
}

#[test]
fn a_recorded_refusal_keeps_its_code_and_text() {
    let parts = recorded_replies(&recorded("batch_stops_at_first_error"));
    let [(400, None, body)] = &parts[..] else {
        panic!("{parts:?}")
    };
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "0x80044331");
}

#[test]
fn requests_are_written_line_by_line() {
    let parts = [
        Part {
            method: "PATCH",
            target: "/api/data/v9.2/accounts(6ba7b810-9dad-11d1-80b4-00c04fd430c8)".into(),
            headers: vec![("If-Match", "*")],
            prefer: None,
            body: Some(r#"{"name":"x"}"#.into()),
        },
        Part::get("/api/data/v9.2/accounts?$select=name"),
    ];
    let expected = "--batch_crm_fdw\r\n\
        Content-Type: application/http\r\n\
        Content-Transfer-Encoding: binary\r\n\
        \r\n\
        PATCH /api/data/v9.2/accounts(6ba7b810-9dad-11d1-80b4-00c04fd430c8) HTTP/1.1\r\n\
        If-Match: *\r\n\
        Content-Type: application/json; type=entry\r\n\
        \r\n\
        {\"name\":\"x\"}\r\n\
        --batch_crm_fdw\r\n\
        Content-Type: application/http\r\n\
        Content-Transfer-Encoding: binary\r\n\
        \r\n\
        GET /api/data/v9.2/accounts?$select=name HTTP/1.1\r\n\
        Accept: application/json\r\n\
        \r\n\
        \r\n\
        --batch_crm_fdw--\r\n";
    assert_eq!(body(&parts), expected);
    assert!(CONTENT_TYPE.ends_with(&DELIMITER[2..]));
}

const TWO: &str = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nX: 1\r\n\r\n{\"a\":1}\r\n\
    --b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nOData-EntityId: x(1)\r\n\r\n\r\n--b--\r\n";

fn shown(content_type: Option<&str>, body: &str) -> Option<Vec<String>> {
    let parts = replies(content_type, body.as_bytes()).ok()?;
    let show = |part: &PartReply<'_>| {
        let body = String::from_utf8_lossy(part.body);
        format!("{} {body}", part.status)
    };
    Some(parts.iter().map(show).collect())
}

#[test]
fn replies_are_read_whatever_their_line_ends_and_header() {
    let whole = Some(vec!["200 {\"a\":1}".to_owned(), "204 ".to_owned()]);
    for kind in [
        Some("multipart/mixed; boundary=b"),
        Some("multipart/mixed;boundary=\"b\""),
        Some("Multipart/Mixed; charset=utf-8; Boundary=b"),
        Some("multipart/mixed"),
        None,
    ] {
        assert_eq!(shown(kind, TWO), whole, "{kind:?}");
    }
    let kind = Some("multipart/mixed; boundary=b");
    assert_eq!(shown(kind, &TWO.replace("\r\n", "\n")), whole);
    let with_preamble = format!("a preamble\r\n{TWO}an epilogue");
    assert_eq!(shown(kind, &with_preamble), whole);
    // A longer delimiter is another one's.
    let longer = TWO.replace("{\"a\":1}", "--bb");
    assert_eq!(
        shown(kind, &longer),
        Some(vec!["200 --bb".into(), "204 ".into()])
    );
    assert_eq!(shown(kind, "--b--\r\n"), Some(Vec::new()));
}

#[test]
fn what_is_harmed_is_refused() {
    let kind = Some("multipart/mixed; boundary=b");
    for body in [
        "",
        "<html>Sign in</html>",
        "{\"error\":{}}",
        &TWO[..TWO.len() - 6],
        &TWO.replace("HTTP/1.1 204", "HTTP/1.1"),
        &TWO.replace("HTTP/1.1 204", "FTP 204"),
        &TWO.replace("204", "99"),
        &TWO.replace("204", "65536000"),
    ] {
        assert_eq!(shown(kind, body), None, "{body}");
    }
    // Parts within parts within parts are nobody's change set.
    let mut nested = "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    for depth in 0..3 {
        let kind = match depth {
            0 => "application/http".to_owned(),
            inner => format!("multipart/mixed; boundary=b{}", inner - 1),
        };
        nested = format!("--b{depth}\r\nContent-Type: {kind}\r\n\r\n{nested}\r\n--b{depth}--\r\n");
    }
    assert_eq!(shown(Some("multipart/mixed; boundary=b2"), &nested), None);
    assert!(is_multipart(kind) && !is_multipart(Some("application/json")) && !is_multipart(None));
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in prop::option::of("\\PC{0,40}"), body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = replies(kind.as_deref(), &body);
    }

    #[test]
    fn no_harm_to_a_reply_panics(
        harm in prop::collection::vec((0..TWO.len(), prop::option::of(any::<u8>())), 1..8)
    ) {
        let mut body = TWO.as_bytes().to_vec();
        for (at, byte) in harm {
            let at = at % body.len().max(1);
            match byte {
                Some(byte) if !body.is_empty() => body[at] = byte,
                _ => body.truncate(at),
            }
        }
        if let Ok(parts) = replies(Some("multipart/mixed; boundary=b"), &body) {
            prop_assert!(parts.iter().all(|part| (100..600).contains(&part.status)));
        }
    }

    #[test]
    fn written_parts_come_back(bodies in prop::collection::vec("\\PC{0,60}", 1..6)) {
        let json = |text: &String| serde_json::to_string(text).unwrap();
        let mut text = String::new();
        for body in &bodies {
            text.push_str(&format!(
                "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n", json(body)
            ));
        }
        text.push_str("--b--\r\n");
        let parts = replies(None, text.as_bytes()).unwrap();
        let read: Vec<String> = parts.iter().map(|part| serde_json::from_slice(part.body).unwrap()).collect();
        prop_assert_eq!(read, bodies);
    }
}
