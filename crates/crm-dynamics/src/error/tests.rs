use super::*;
use crm_http::header::HeaderMap;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec().into(),
    }
}

#[test]
fn codes_and_statuses_by_meaning() {
    for (status, body, kind, code) in [
        (
            404,
            r#"{"error":{"code":"0x80040217","message":"account With Id = x Does Not Exist"}}"#,
            ErrorKind::RecordUnknown,
            Some("0x80040217"),
        ),
        (
            404,
            r#"{"error":{"code":"0x8006088A","message":"Resource not found for the segment 'Account'."}}"#,
            ErrorKind::ObjectUnknown,
            Some("0x8006088a"),
        ),
        (
            400,
            r#"{"error":{"code":"0x80041102","message":"The entity with a name = 'nope' was not found in the MetadataCache."}}"#,
            ErrorKind::ObjectUnknown,
            Some("0x80041102"),
        ),
        (
            404,
            r#"{"error":{"code":"","message":"Resource not found for the segment 'Account'."}}"#,
            ErrorKind::ObjectUnknown,
            None,
        ),
        (
            400,
            r#"{"error":{"code":"0x0","message":"Could not find a property named 'nam' on type 'Microsoft.Dynamics.CRM.account'.","innererror":{"message":"","type":"","stacktrace":""}}}"#,
            ErrorKind::FieldUnknown,
            None,
        ),
        (
            400,
            r#"{"odata.error":{"code":"","message":{"lang":"en-US","value":"bad"}}}"#,
            ErrorKind::RemoteFault,
            None,
        ),
        (
            429,
            r#"{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000 over time window of 300 seconds."}}"#,
            ErrorKind::AllotmentUsedUp,
            Some("0x80072322"),
        ),
        (
            403,
            r#"{"error":{"code":"0x80040220","message":"Principal user is missing prvReadAccount"}}"#,
            ErrorKind::NotPermitted,
            Some("0x80040220"),
        ),
        (
            501,
            r#"{"error":{"code":"0x80040800","message":"The 'RetrieveMultiple' method does not support entities of type 'x'."}}"#,
            ErrorKind::NotSupported,
            Some("0x80040800"),
        ),
        (401, "", ErrorKind::LoginRefused, None),
        (503, "<html>", ErrorKind::ConnectionLost, None),
        (500, "[1]", ErrorKind::RemoteFault, None),
    ] {
        let error = from_reply(&reply(status, body));
        assert_eq!(error.kind(), kind, "{body}");
        assert_eq!(error.code(), code, "{body}");
        let message = error.message();
        assert!(message.starts_with(char::is_lowercase) && !message.ends_with('.'));
    }
}

#[test]
fn signed_numbers_are_the_same_codes() {
    for (number, code) in [
        (-2_147_220_969, "0x80040217"),
        (-2_147_217_149, "0x80041103"),
        (-2_147_015_902, "0x80072322"),
        (0, ""),
    ] {
        assert_eq!(code_of_number(number), code);
    }
}

#[test]
fn the_tables_codes_are_unique_and_in_lower_case() {
    for (at, row) in TABLE.iter().enumerate() {
        assert_eq!(row.0, code_of(row.0));
        assert!(
            TABLE[..at].iter().all(|other| other.0 != row.0),
            "{}",
            row.0
        );
    }
}

#[test]
fn refused_sign_ins_say_what_to_do() {
    let entra = |number: u64| {
        format!(
            r#"{{"error":"invalid_grant","error_description":"AADSTS{number}: No.\r\nTrace ID: x","error_codes":[{number}]}}"#
        )
    };
    for (number, kind, hint) in [
        (50_126, ErrorKind::LoginRefused, "password"),
        (50_055, ErrorKind::LoginRefused, "expired"),
        (50_076, ErrorKind::LoginRefused, "client_credentials"),
        (53_003, ErrorKind::LoginRefused, "conditional access"),
        (65_001, ErrorKind::LoginRefused, "consent"),
        (90_002, ErrorKind::LoginRefused, "tenant"),
        (500_011, ErrorKind::LoginRefused, "url"),
        (7_000_222, ErrorKind::LoginRefused, "secret has expired"),
        (50_033, ErrorKind::ConnectionLost, ""),
    ] {
        let error = refused_sign_in(&reply(400, &entra(number)), Form::Password);
        assert_eq!(error.kind(), kind, "{number}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        assert_eq!(error.code(), Some(format!("AADSTS{number}").as_str()));
        assert!(!error.detail().unwrap().contains("Trace"), "{error:?}");
    }
    let body =
        r#"{"error":"invalid_grant","error_description":"MSIS9605: The client is not allowed."}"#;
    let error = refused_sign_in(&reply(400, body), Form::Adfs);
    assert!(error.hint().unwrap().contains("Grant-Adfs"), "{error:?}");
    let error = refused_sign_in(&reply(502, "<html>"), Form::Password);
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
}
