use super::*;
use proptest::prelude::*;

/// Reads everything; gives the error's message if there is one.
fn walk(document: &[u8]) -> std::result::Result<usize, String> {
    let mut reader = Reader::new(document).map_err(|error| error.message().to_owned())?;
    let mut n_elements = 0;
    let mut depth = 0;
    loop {
        match reader.child() {
            Ok(true) => {
                n_elements += 1;
                depth += 1;
                let _ = reader.attribute("", "x");
            }
            Ok(false) if depth == 0 => return Ok(n_elements),
            Ok(false) => depth -= 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Undecodable);
                return Err(error.message().to_owned());
            }
        }
    }
}

#[test]
fn elements_are_known_by_namespace() {
    let document = br#"<?xml version="1.0" encoding="utf-8"?><!-- c --><s:a xmlns:s="urn:1" xmlns="urn:2"><b><s:c xmlns:s="urn:3" q="z" s:q="y"/></b><s:b/><d:e/></s:a>"#;
    let mut reader = Reader::new(document).unwrap();
    assert!(reader.child().unwrap());
    assert_eq!(reader.name(), ("urn:1", "a"));
    assert!(reader.child().unwrap());
    assert_eq!(reader.name(), ("urn:2", "b"));
    assert!(reader.child().unwrap());
    assert_eq!(reader.name(), ("urn:3", "c"));
    assert_eq!(reader.attribute("urn:3", "q").unwrap().unwrap(), "y");
    assert_eq!(reader.attribute("", "q").unwrap().unwrap(), "z");
    assert_eq!(reader.attribute("urn:1", "q").unwrap(), None);
    assert_eq!(reader.namespace_of("s"), Some("urn:3"));
    assert_eq!(reader.namespace_of(""), Some("urn:2"));
    assert_eq!(reader.namespace_of("t"), None);
    assert_eq!(reader.text().unwrap(), "");
    assert!(!reader.child().unwrap());
    assert!(reader.child_named("urn:1", "b").unwrap());
    reader.skip().unwrap();
    assert!(reader.child().unwrap());
    assert_eq!(reader.name(), ("", "e"), "nothing declares its prefix");
    reader.skip().unwrap();
    assert!(!reader.child().unwrap(), "the root ends");
    assert!(!reader.child().unwrap(), "the document ends");
}

#[test]
fn text_in_all_its_forms() {
    for (written, expected) in [
        ("", ""),
        ("a b", "a b"),
        ("a&lt;b&amp;&gt;&quot;&apos;", "a<b&>\"'"),
        ("&#65;&#x42;&#x1F600;", "AB\u{1F600}"),
        ("a<![CDATA[<b>&amp;]]>c<!-- d -->e", "a<b>&amp;ce"),
        ("a\r\nb\rc&#xD;", "a\nb\nc\r"),
        (" x ", " x "),
        ("a<?pi b?>c", "ac"),
        ("a&#x0;&#x1;", "a\0\u{1}"),
    ] {
        let document = format!("<a><b>{written}</b></a>");
        let mut reader = Reader::new(document.as_bytes()).unwrap();
        assert!(reader.child().unwrap() && reader.child().unwrap());
        assert_eq!(reader.text().unwrap(), expected, "{written}");
        assert!(!reader.child().unwrap());
    }
}

#[test]
fn plain_text_is_not_copied() {
    let mut reader = Reader::new(b"<a>plain</a>").unwrap();
    assert!(reader.child().unwrap());
    assert!(matches!(reader.text().unwrap(), Cow::Borrowed("plain")));
}

#[test]
fn an_element_can_be_taken_as_it_was_written() {
    let document = br#"<s:a xmlns:s="urn:1" xmlns:t="urn:2" xmlns:u="urn:3"><t:b t:q='1' ><u:c  xmlns:u="urn:4"/>x</t:b><s:d xmlns:s="urn:5"><s:e/></s:d></s:a>"#;
    let mut reader = Reader::new(document).unwrap();
    assert!(reader.child().unwrap() && reader.child().unwrap());
    assert_eq!(
        reader.raw().unwrap(),
        r#"<t:b xmlns:t="urn:2" xmlns:u="urn:3" t:q='1' ><u:c  xmlns:u="urn:4"/>x</t:b>"#
    );
    assert!(reader.child().unwrap());
    let own = reader.raw().unwrap();
    assert!(matches!(own, Cow::Borrowed(_)), "it declares all it uses");
    assert_eq!(own, r#"<s:d xmlns:s="urn:5"><s:e/></s:d>"#);
    assert!(!reader.child().unwrap());
}

#[test]
fn what_is_no_sound_document_is_refused() {
    let deep = "<a>".repeat(1_000_000);
    let many = format!(
        "<a {}/>",
        (0..1000)
            .map(|n| format!("xmlns:p{n}='u'"))
            .collect::<Vec<_>>()
            .join(" ")
    );
    for (document, why) in [
        ("", "it ends too early"),
        ("plain", "it ends too early"),
        ("<a>", "it ends too early"),
        ("<a><b></a>", "it is not well-formed XML"),
        ("<a", "it is not well-formed XML"),
        ("</a>", "it is not well-formed XML"),
        ("<a/><b/>", "it has two roots"),
        ("<a>&b;</a>", "it brings an unknown entity"),
        ("<a>&#xD800;</a>", "it brings an unknown entity"),
        ("<a>&#x110000;</a>", "it brings an unknown entity"),
        ("<a>& </a>", "it is not well-formed XML"),
        (
            r#"<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"#,
            "it brings a document type",
        ),
        (
            r#"<?xml version="1.0" encoding="iso-8859-1"?><a/>"#,
            "it declares another encoding than UTF-8",
        ),
        (&deep, "its elements nest too deep"),
        (&many, "it is not well-formed XML"),
        ("<a xmlns:xml='urn:x'/>", "it is not well-formed XML"),
    ] {
        let shown: String = document.chars().take(60).collect();
        assert_eq!(
            walk(document.as_bytes()),
            Err(format!("the reply cannot be read: {why}")),
            "{shown}"
        );
    }
    for document in [&b"<a>\xff</a>"[..], b"\xff\xfe<\0a\0/\0>\0"] {
        assert_eq!(
            walk(document),
            Err("the reply cannot be read: it is not UTF-8".to_owned())
        );
    }
    assert_eq!(walk(b"\xef\xbb\xbf<a/>"), Ok(1));
}

#[test]
fn a_document_is_read_to_its_end() {
    for (document, is_whole) in [
        ("<a><b>c</b><d><e/></d></a> <!-- f -->", true),
        ("<a><b>c</b><d><e/></d>", false),
        ("<a><b>c</b><d></a>", false),
        ("<a><b>c</b></a><f/>", false),
    ] {
        let mut reader = Reader::new(document.as_bytes()).unwrap();
        assert!(reader.child().unwrap() && reader.child().unwrap());
        assert_eq!(reader.text().unwrap(), "c");
        assert_eq!(reader.finish().is_ok(), is_whole, "{document}");
    }
}

#[test]
fn an_element_is_not_taken_for_text() {
    let mut reader = Reader::new(b"<a>x<b/></a>").unwrap();
    assert!(reader.child().unwrap());
    assert!(reader.text().is_err());
}

#[test]
fn entities_of_attributes_are_refused() {
    let mut reader = Reader::new(b"<a x='&b;' y='&amp;'/>").unwrap();
    assert!(reader.child().unwrap());
    assert!(reader.attribute("", "x").is_err());
    assert_eq!(reader.attribute("", "y").unwrap().unwrap(), "&");
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(document in "[<>/a&;#x!\\[\\]\"'= :?-]{0,60}") {
        let _ = walk(document.as_bytes());
    }
}
