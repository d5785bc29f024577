use super::*;
use crm_http::StatusCode;
use crm_http::header::HeaderMap;

fn account(options: &[(&str, &str)]) -> Account {
    let mut account = Account::new("crm");
    for (name, value) in options {
        let option = OPTIONS.iter().find(|option| option.name == *name);
        account.set(option.unwrap(), (*value).into());
    }
    account
}

#[test]
fn the_way_follows_from_the_options() {
    for (options, expected) in [
        (
            &[("username", "u"), ("password", "TEST"), ("client_id", "c")][..],
            Some(Form::Password),
        ),
        (
            &[("client_id", "c"), ("client_secret", "TEST")],
            Some(Form::ClientCredentials),
        ),
        (
            &[
                ("client_id", "c"),
                ("client_secret", "TEST"),
                ("username", "u"),
            ],
            Some(Form::Password),
        ),
        (&[("deployment", "office_365")], Some(Form::Password)),
        (&[("deployment", "on_premise")], None),
        (
            &[("deployment", "on_premise"), ("auth", "ws_trust")],
            Some(Form::WsTrust),
        ),
    ] {
        assert_eq!(named(&account(options)).unwrap(), expected, "{options:?}");
    }
    for options in [
        &[("auth", "ntlm")][..],
        &[("deployment", "office_365"), ("auth", "adfs")],
        &[("deployment", "on_premise"), ("auth", "password")],
    ] {
        let error = named(&account(options)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OptionValue, "{options:?}");
    }
}

#[test]
fn challenges_are_found_among_others() {
    let reply = |headers: &[&'static str]| {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, HeaderValue::from_static(header));
        }
        Reply {
            status: StatusCode::UNAUTHORIZED,
            headers: map,
            body: "".into(),
        }
    };
    let found = Challenge {
        authorization_uri: "https://login.microsoftonline.com/t/oauth2/authorize".into(),
        resource_id: Some("https://contoso.crm4.dynamics.com/".into()),
    };
    for header in [
        "Bearer authorization_uri=https://login.microsoftonline.com/t/oauth2/authorize, resource_id=https://contoso.crm4.dynamics.com/",
        "bearer authorization_uri=\"https://login.microsoftonline.com/t/oauth2/authorize\",resource_id=\"https://contoso.crm4.dynamics.com/\"",
    ] {
        let reply = reply(&["Negotiate", "NTLM", header]);
        assert_eq!(challenge_of(&reply).as_ref(), Some(&found), "{header}");
    }
    assert_eq!(challenge_of(&reply(&["Negotiate", "NTLM"])), None);
    assert_eq!(challenge_of(&reply(&["Bearer realm=x"])), None);
}

#[test]
fn a_password_goes_to_known_hosts_alone() {
    let url = |text: &str| Url::parse(text).unwrap();
    let root = url("https://crm.contoso.example/Org/");
    for (named, pointed, expected) in [
        (
            None,
            "https://login.microsoftonline.com/t/oauth2/authorize",
            true,
        ),
        (
            None,
            "https://crm.contoso.example/adfs/oauth2/authorize",
            true,
        ),
        (
            None,
            "https://adfs.contoso.example/adfs/oauth2/authorize",
            false,
        ),
        (None, "https://crm.contoso.example:8443/adfs", false),
        (
            Some("https://adfs.contoso.example"),
            "https://evil.example/x",
            true,
        ),
    ] {
        let named = named.map(url);
        let trusted = trusted_host(named.as_ref(), &url(pointed), &root);
        assert_eq!(trusted.is_ok(), expected, "{pointed}");
        if let (Ok(trusted), Some(named)) = (trusted, named) {
            assert_eq!(trusted, named);
        }
    }
}

#[test]
fn endpoints_and_scopes() {
    let resource = "https://contoso.crm4.dynamics.com/";
    assert_eq!(
        scope(resource),
        "https://contoso.crm4.dynamics.com/.default"
    );
    let found = entra(None, None, "contoso.example", resource.into()).unwrap();
    assert_eq!(
        found.token_endpoint.as_str(),
        "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
    );
    for bad in ["", "a/b", "..%2f", "a?b"] {
        assert!(entra(None, None, bad, resource.into()).is_err(), "{bad}");
    }
}

#[test]
fn lives_end_a_little_early() {
    for (expires_in, expected) in [
        (serde_json::json!(3599), Some(3299)),
        (serde_json::json!("3600"), Some(3300)),
        (serde_json::json!(10), Some(5)),
        (serde_json::json!("soon"), None),
        (serde_json::json!(null), None),
    ] {
        let expected = expected.map(Duration::from_secs);
        assert_eq!(usable_life(&expires_in), expected, "{expires_in}");
    }
}

#[test]
fn tokens_that_cannot_be_used_are_refused_without_being_shown() {
    let root = Url::parse("https://contoso.crm4.dynamics.com/").unwrap();
    for body in ["", "<html>TEST</html>", r#"{"access_token":["TEST"]}"#] {
        let reply = Reply {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.as_bytes().into(),
        };
        let error = granted(&reply, &root).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{body}");
        assert!(!format!("{error:?}").contains("TEST"), "{error:?}");
    }
}
