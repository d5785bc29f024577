use super::*;

const ANSWER: &str =
    include_str!("../../tests/fixtures/soap/request_security_token_response_onpremise.xml");

fn token_of(body: &str) -> Result<Fresh<SamlToken>> {
    match open(body.as_bytes())? {
        Message::Answer(mut reader) => granted(&mut reader),
        Message::Fault(mut reader) => Err(refused(&fault::read(&mut reader)?)),
    }
}

#[test]
fn the_recorded_token() {
    let fresh = token_of(ANSWER).unwrap();
    assert_eq!(fresh.life, Some(Duration::from_secs(7 * 86_400 - 300)));
    let token = fresh.token;
    assert_eq!(token.reference, "_ed121435-64ea-45b0-9b15-e5769afdb746");
    let start = ANSWER.find("<xenc:EncryptedData").unwrap();
    let end = ANSWER.find("</xenc:EncryptedData>").unwrap() + "</xenc:EncryptedData>".len();
    assert_eq!(token.assertion, ANSWER[start..end], "byte for byte");
    assert!(!format!("{token:?}").contains("Encrypted"));
}

#[test]
fn the_signature_covers_the_time_in_canonical_form() {
    let token = token_of(ANSWER).unwrap().token;
    let header = security(&token, 1_416_340_000_000_000).unwrap();
    let timestamp = concat!(
        r#"<u:Timestamp xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" u:Id="_0">"#,
        "<u:Created>2014-11-18T19:46:40.000Z</u:Created><u:Expires>2014-11-18T19:51:40.000Z</u:Expires></u:Timestamp>"
    );
    // The digest and the signature were computed by another implementation of canonical XML, SHA-1 and HMAC.
    assert!(header.contains(timestamp), "{header}");
    assert!(header.contains(&token.assertion));
    assert!(
        header.contains("<DigestValue>GtlHzmK9pUphZnoExUHjWtNlMjg=</DigestValue>"),
        "{header}"
    );
    assert!(
        header.contains("<SignatureValue>jTnqBx8ZI25+cm2++MxOT8K6TYw=</SignatureValue>"),
        "{header}"
    );
}

#[test]
fn the_request_says_who_and_for_what() {
    let service =
        Url::parse("https://sts.contoso.example/adfs/services/trust/13/usernamemixed").unwrap();
    let message = request_for_token(&RequestForToken {
        service: &service,
        resource: "https://crm.contoso.example/XRMServices/2011/Organization.svc",
        username: "CONTOSO\\jane&<",
        password: "TEST</o:Password>",
        now: 0,
    })
    .unwrap();
    assert!(message.contains("<o:Username>CONTOSO\\jane&amp;&lt;</o:Username>"));
    assert!(message.contains(">TEST&lt;/o:Password&gt;</o:Password>"));
    assert!(message.contains(
        "<a:Address>https://crm.contoso.example/XRMServices/2011/Organization.svc</a:Address>"
    ));
    let mut reader = match open(message.as_bytes()).unwrap() {
        Message::Answer(reader) => reader,
        Message::Fault(_) => panic!("a fault"),
    };
    assert_eq!(reader.name(), (TRUST, "RequestSecurityToken"));
    assert!(reader.child_named(TRUST, "RequestType").unwrap());
}

#[test]
fn addresses_of_token_services() {
    for (host, expected) in [
        (
            "https://adfs.example",
            Some("https://adfs.example/adfs/services/trust/13/usernamemixed"),
        ),
        (
            "http://adfs.example/adfs/services/trust",
            Some("https://adfs.example/adfs/services/trust/13/usernamemixed"),
        ),
        (
            "https://adfs.example:8443/x",
            Some("https://adfs.example:8443/adfs/services/trust/13/usernamemixed"),
        ),
        (
            "https://adfs.example/own/usernamemixed",
            Some("https://adfs.example/own/usernamemixed"),
        ),
        ("urn:x", None),
    ] {
        let endpoint = endpoint_at(&Url::parse(host).unwrap());
        assert_eq!(endpoint.ok().as_ref().map(Url::as_str), expected, "{host}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let fault = |code: &str, text: &str| {
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a="{TRUST}">a:{code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text>{text}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#
        )
    };
    for (code, text, kind, told, hint) in [
        (
            "FailedAuthentication",
            "ID3242: The security token could not be authenticated or authorized.",
            ErrorKind::LoginRefused,
            "ID3242",
            "password",
        ),
        (
            "FailedAuthentication",
            "no",
            ErrorKind::LoginRefused,
            "FailedAuthentication",
            "password",
        ),
        (
            "InvalidScope",
            "ID3082: The request scope is not valid or is unsupported.",
            ErrorKind::LoginRefused,
            "ID3082",
            "url",
        ),
        (
            "BadRequest",
            "words",
            ErrorKind::RemoteFault,
            "BadRequest",
            "",
        ),
    ] {
        let error = token_of(&fault(code, text)).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        assert_eq!(error.code(), Some(told));
        assert!(error.hint().unwrap_or_default().contains(hint));
        assert!(error.detail().unwrap().contains(text));
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for (from, to) in [
        (
            "<trust:BinarySecret>AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "<trust:BinarySecret>#",
        ),
        ("RequestedProofToken", "x"),
        ("RequestedSecurityToken", "x"),
        ("RequestedAttachedReference", "x"),
        ("trust:RequestSecurityTokenResponseCollection", "trust:x"),
        (
            "<s:Envelope",
            "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><s:Envelope",
        ),
        ("</s:Body>", ""),
    ] {
        let error = token_of(&ANSWER.replace(from, to)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{from}");
        assert!(!error.to_string().contains("AAECAw"));
    }
}
