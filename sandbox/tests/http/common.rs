//! A sandbox in this process and a client that trusts it; what all tests here share.

use std::sync::Once;

use crm_sandbox::{Config, Sandbox, start};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde_json::Value;

/// Root of the version the tests use.
pub const V: &str = "/services/data/v66.0";

/// A server and a signed-in client.
pub struct World {
    pub sandbox: Sandbox,
    pub client: Client,
    pub token: String,
}

/// A client that trusts the server's authority only and follows no redirect.
pub fn client(sandbox: &Sandbox) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("no other provider is installed");
    });
    Client::builder()
        .tls_certs_only([Certificate::from_pem(sandbox.ca_pem.as_bytes()).expect("a certificate")])
        .redirect(reqwest::redirect::Policy::none())
        .gzip(false)
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// Starts a server and signs in.
pub async fn world(config: Config) -> World {
    let sandbox = start(config).await.expect("the sandbox starts");
    let client = client(&sandbox);
    let mut world = World {
        sandbox,
        client,
        token: String::new(),
    };
    let (status, answer) = world.sign_in(&world.sandbox.credentials.username).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    world.token = answer["access_token"].as_str().expect("a token").to_owned();
    world
}

impl World {
    /// The password flow for a user, with the right password.
    pub async fn sign_in(&self, username: &str) -> (StatusCode, Value) {
        let c = &self.sandbox.credentials;
        let password = format!("{}{}", c.password, c.security_token);
        self.token_request(
            &self.sandbox.login_url,
            &[
                ("grant_type", "password"),
                ("client_id", &c.client_id),
                ("client_secret", &c.client_secret),
                ("username", username),
                ("password", &password),
            ],
        )
        .await
    }

    /// Any grant at either host.
    pub async fn token_request(&self, host: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = format!("{host}/services/oauth2/token");
        let answer = self
            .client
            .post(url)
            .form(form)
            .send()
            .await
            .expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// A call at the instance with the session's token.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}{path}", self.sandbox.instance_url);
        let call = self.client.request(method, url).bearer_auth(&self.token);
        match body {
            Some(body) => call.json(&body).send().await,
            None => call.send().await,
        }
    }

    /// A GET that answers JSON.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.send(Method::GET, path, None).await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A POST that answers JSON.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self
            .send(Method::POST, path, Some(body))
            .await
            .expect("an answer");
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// The path of a query.
    pub fn query_path(soql: &str) -> String {
        let encoded: String = soql
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                    char::from(b).to_string()
                }
                b' ' => "+".to_owned(),
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("{V}/query?q={encoded}")
    }

    /// The first page of a query.
    pub async fn query(&self, soql: &str) -> (StatusCode, Value) {
        self.get(&Self::query_path(soql)).await
    }

    /// An admin call that must succeed.
    pub async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.sandbox.admin_url);
        let mut call = self.client.request(method, url);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }

    /// Orders a fault.
    pub async fn fault(&self, fault: Value) {
        self.admin(Method::POST, "/faults", Some(fault)).await;
    }
}

/// The error code of a refused call.
pub fn code(answer: &Value) -> &str {
    answer[0]["errorCode"].as_str().unwrap_or("no error code")
}
