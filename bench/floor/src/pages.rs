//! Pages of records as a plain HTTP client gets them.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Method};
use serde_json::Value;

/// A signed-in client.
pub struct Service {
    client: Client,
    instance: String,
    token: String,
}

impl Service {
    /// Signs in as `sandbox.json` in the sandbox's folder says.
    pub async fn sign_in(state_dir: &Path) -> Result<Self, Box<dyn Error>> {
        let client = client(state_dir)?;
        let state = description(state_dir)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let known = &state["salesforce"];
        let password = text(&known["password"]) + &text(&known["security_token"]);
        let form = [
            ("grant_type", "password".to_owned()),
            ("client_id", text(&known["client_id"])),
            ("client_secret", text(&known["client_secret"])),
            ("username", text(&known["username"])),
            ("password", password),
        ];
        let url = text(&state["login_url"]) + "/services/oauth2/token";
        let reply = client.post(url).form(&form).send().await?;
        let answer: Value = reply.error_for_status()?.json().await?;
        Ok(Self {
            client,
            instance: text(&state["instance_url"]),
            token: text(&answer["access_token"]),
        })
    }

    /// What it was let in with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Path of the first page of the query in the environment.
    pub fn first(&self) -> Result<String, Box<dyn Error>> {
        let (version, query) = (
            std::env::var("BENCH_VERSION")?,
            std::env::var("BENCH_QUERY")?,
        );
        let url = format!("{}/services/data/v{version}/query", self.instance);
        let request = self.client.get(url).query(&[("q", query)]).build()?;
        let url = request.url();
        Ok(format!(
            "{}?{}",
            url.path(),
            url.query().unwrap_or_default()
        ))
    }

    /// A page, whole.
    pub async fn page(&self, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let request = self
            .client
            .get(format!("{}{path}", self.instance))
            .bearer_auth(&self.token);
        let mut reply = request.send().await?.error_for_status()?;
        let mut page = Vec::with_capacity(reply.content_length().unwrap_or(0) as usize);
        while let Some(chunk) = reply.chunk().await? {
            page.extend_from_slice(&chunk);
        }
        Ok(page)
    }
}

/// The address of the page behind this one: it stands before the records, and no name of the head occurs elsewhere there.
pub fn next(page: &[u8]) -> Option<&str> {
    member(page, "\"nextRecordsUrl\":\"", '"')
}

/// How many records the query has.
pub fn total(page: &[u8]) -> Option<usize> {
    member(page, "\"totalSize\":", ',')?.parse().ok()
}

fn member<'p>(page: &'p [u8], name: &str, end: char) -> Option<&'p str> {
    const LONGEST_HEAD: usize = 300;
    let head = &page[..page.len().min(LONGEST_HEAD)];
    // Cut in the middle of a character, it is whole as far as it matters.
    let head = match std::str::from_utf8(head) {
        Ok(head) => head,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
    };
    let head = &head[..head.find("\"records\"").unwrap_or(head.len())];
    let rest = &head[head.find(name)? + name.len()..];
    rest.split(end).next()
}

/// Asks the sandbox's own interface and prints its answer.
pub async fn admin(
    state_dir: &Path,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    let state = description(state_dir)?;
    let url = format!("{}{path}", state["admin_url"].as_str().unwrap_or_default());
    let mut request = client(state_dir)?.request(Method::from_bytes(method.as_bytes())?, url);
    if let Some(body) = body {
        request = request.json(&serde_json::from_str::<Value>(body)?);
    }
    let reply = request.send().await?;
    let status = reply.status();
    let text = reply.text().await?;
    if !status.is_success() {
        return Err(format!("{path}: {status} {text}").into());
    }
    println!("{text}");
    Ok(())
}

fn description(state_dir: &Path) -> Result<Value, Box<dyn Error>> {
    let text = std::fs::read(state_dir.join("sandbox.json"))?;
    Ok(serde_json::from_slice(&text)?)
}

fn client(state_dir: &Path) -> Result<Client, Box<dyn Error>> {
    // Fails when it is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = std::fs::read(state_dir.join("ca.pem"))?;
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&authority)?])
        .timeout(Duration::from_secs(300))
        .no_proxy()
        .build()?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_page_is_read() {
        let page =
            br#"{"totalSize":7,"done":false,"nextRecordsUrl":"/next","records":[{"Name":"a"}]}"#;
        assert_eq!((next(page), total(page)), (Some("/next"), Some(7)));
        let last = br#"{"totalSize":7,"done":true,"records":[{"nextRecordsUrl":"x"}]}"#;
        assert_eq!((next(last), total(last)), (None, Some(7)));
    }
}
