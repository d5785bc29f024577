//! Who gets in: every flow, every refusal, the two hosts, lock-out and the end of a token.

use crate::common::{V, World, client, code, world};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crm_sandbox::{Config, start};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_opens_the_instance_and_the_identity() {
    let world = world(Config::default()).await;
    assert!(world.token.contains('!'));
    let (status, who) = world.get("/services/oauth2/userinfo").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        who["preferred_username"],
        *world.sandbox.credentials.username
    );
    let (_, answer) = world.sign_in(&world.sandbox.credentials.username).await;
    let id = answer["id"].as_str().unwrap();
    let path = id.strip_prefix(&world.sandbox.login_url).unwrap();
    let (status, who) = world.get(path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(who["user_id"].as_str().unwrap().len(), 18);
    assert!(who["organization_name"].is_string() && who["display_name"].is_string());
    assert!(answer["issued_at"].as_str().unwrap().parse::<i64>().is_ok());
}

#[tokio::test]
async fn data_lives_on_the_instance_host_only() {
    let world = world(Config::default()).await;
    let url = format!("{}{V}/limits", world.sandbox.login_url);
    let answer = world
        .client
        .get(url)
        .bearer_auth(&world.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let (status, _) = world.get(&format!("{V}/limits")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_carry_the_oauth_error() {
    let world = world(Config::default()).await;
    let c = &world.sandbox.credentials;
    let login = &world.sandbox.login_url;
    let right = format!("{}{}", c.password, c.security_token);
    let base = |grant| {
        vec![
            ("grant_type", grant),
            ("client_id", c.client_id.as_str()),
            ("client_secret", c.client_secret.as_str()),
        ]
    };
    let password = |username: &'static str, password| {
        let mut form = base("password");
        form.extend([("username", username), ("password", password)]);
        form
    };
    for (form, status, error) in [
        (
            password("nobody@x.example", right.as_str()),
            400,
            "invalid_grant",
        ),
        (
            password("expired@crm-sandbox.example", right.as_str()),
            400,
            "invalid_grant",
        ),
        (base("client_credentials"), 400, "invalid_grant"),
        (base("telepathy"), 400, "unsupported_grant_type"),
        (
            vec![("grant_type", "password"), ("client_id", "x")],
            400,
            "invalid_client_id",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("client_id", c.client_id.as_str()),
            ],
            401,
            "invalid_client",
        ),
    ] {
        let (got, answer) = world.token_request(login, &form).await;
        assert_eq!(got.as_u16(), status, "{answer}");
        assert_eq!(answer["error"], error);
    }
    let mut refresh = base("refresh_token");
    refresh.push(("refresh_token", &c.refresh_token));
    let (status, answer) = world.token_request(login, &refresh).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer.get("refresh_token").is_none());
    let (status, _) = world
        .token_request(&world.sandbox.instance_url, &base("client_credentials"))
        .await;
    assert_eq!(status, StatusCode::OK);
    let url = format!("{}/services/oauth2/token", world.sandbox.instance_url);
    let answer = world
        .client
        .post(url)
        .basic_auth(&c.client_id, Some(&c.client_secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_user_out() {
    let world = world(Config::default()).await;
    let c = &world.sandbox.credentials;
    for _ in 0..5 {
        let (status, answer) = world
            .token_request(
                &world.sandbox.login_url,
                &[
                    ("grant_type", "password"),
                    ("client_id", &c.client_id),
                    ("client_secret", &c.client_secret),
                    ("username", &c.second_username),
                    ("password", "wrong"),
                ],
            )
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["error"], "invalid_grant");
    }
    let (status, _) = world.sign_in(&c.second_username).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "the right password no longer helps"
    );
    let report = world.admin(Method::GET, "/requests", None).await;
    let users = report["logins"]["users"].as_array().unwrap();
    assert_eq!(users.iter().filter(|u| u["locked"] == true).count(), 1);
    assert!(!report.to_string().contains("wrong"), "no body is kept");
    world.admin(Method::POST, "/reset", None).await;
    let (status, _) = world.sign_in(&c.second_username).await;
    assert_eq!(status, StatusCode::OK);
}

fn assertion(world: &World, claims: &Value) -> String {
    let pem = &world.sandbox.credentials.private_key;
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap();
    let key = ring::signature::RsaKeyPair::from_pkcs8(&der).unwrap();
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &ring::signature::RSA_PKCS1_SHA256,
        &ring::rand::SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_signed_assertion_is_checked_claim_by_claim() {
    let world = world(Config::default()).await;
    let c = &world.sandbox.credentials;
    let now = chrono::Utc::now().timestamp();
    let good = json!({
        "iss": c.client_id, "sub": c.username, "aud": world.sandbox.login_url, "exp": now + 120,
    });
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let mut forged = assertion(&world, &good);
    forged.replace_range(
        forged.len() - 4..forged.len() - 3,
        if forged.ends_with('A') { "B" } else { "A" },
    );
    let long_ago = changed("exp", json!(now - 600));
    for (text, status) in [
        (assertion(&world, &good), 200),
        (
            assertion(
                &world,
                &changed("aud", json!("https://login.salesforce.com")),
            ),
            200,
        ),
        (assertion(&world, &long_ago), 400),
        (assertion(&world, &changed("exp", json!(now + 3_600))), 400),
        (assertion(&world, &changed("iss", json!("x"))), 400),
        (
            assertion(&world, &changed("aud", json!("https://x.example"))),
            400,
        ),
        (
            assertion(&world, &changed("sub", json!("nobody@x.example"))),
            400,
        ),
        (
            format!("{}x", assertion(&world, &good).replacen('.', "!.", 1)),
            400,
        ),
        ("nothing".to_owned(), 400),
    ] {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", text.as_str()),
        ];
        let (got, answer) = world.token_request(&world.sandbox.login_url, &form).await;
        assert_eq!(got.as_u16(), status, "{answer}");
    }
}

async fn soap(world: &World, version: &str, username: &str, password: &str) -> (u16, String) {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let body = format!(
        "<se:Envelope xmlns:se=\"http://schemas.xmlsoap.org/soap/envelope/\"><se:Header/><se:Body>\
         <n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>{}</n1:username>\
         <n1:password>{}</n1:password></n1:login></se:Body></se:Envelope>",
        escape(username),
        escape(password)
    );
    let url = format!("{}/services/Soap/u/{version}", world.sandbox.login_url);
    let answer = world
        .client
        .post(url)
        .header("Content-Type", "text/xml; charset=UTF-8")
        .header("SOAPAction", "\"\"")
        .body(body)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn soap_login_works_up_to_64() {
    let mut world = world(Config::default()).await;
    let c = world.sandbox.credentials.clone();
    let right = format!("{}{}", c.password, c.security_token);
    let between = |text: &str, tag: &str| {
        let start = text.split(&format!("<{tag}>")).nth(1).unwrap();
        start.split('<').next().unwrap().to_owned()
    };
    let (status, text) = soap(&world, "64.0", &c.username, &right).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(between(&text, "passwordExpired"), "false");
    assert!(between(&text, "serverUrl").starts_with(&world.sandbox.instance_url));
    world.token = between(&text, "sessionId");
    assert_eq!(world.get(&format!("{V}/limits")).await.0, StatusCode::OK);

    let (status, text) = soap(&world, "65.0", &c.username, &right).await;
    assert_eq!(status, 500);
    assert_eq!(
        between(&text, "sf:exceptionCode"),
        "UNSUPPORTED_API_VERSION"
    );
    let (status, text) = soap(&world, "64.0", &c.username, "wrong").await;
    assert_eq!(status, 500);
    assert_eq!(between(&text, "sf:exceptionCode"), "INVALID_LOGIN");

    let (status, text) = soap(&world, "64.0", &c.expired_username, &right).await;
    assert_eq!(status, 200);
    assert_eq!(between(&text, "passwordExpired"), "true");
    world.token = between(&text, "sessionId");
    let (status, answer) = world.get(&format!("{V}/limits")).await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (401, "INVALID_SESSION_ID")
    );
}

#[tokio::test]
async fn tokens_end_on_command() {
    let world = world(Config::default()).await;
    world.admin(Method::POST, "/expire_tokens", None).await;
    let (status, answer) = world.get(&format!("{V}/limits")).await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (401, "INVALID_SESSION_ID")
    );
}

#[tokio::test]
async fn an_expired_certificate_is_one() {
    let config = Config {
        expired_certificate: true,
        ..Config::default()
    };
    let sandbox = start(config).await.unwrap();
    let url = format!("{}/services/data", sandbox.instance_url);
    let error = client(&sandbox).get(url).send().await.unwrap_err();
    assert!(
        format!("{error:?}").to_lowercase().contains("expired"),
        "{error:?}"
    );
}
