//! The sandbox's own interface: faults, counters, limits. Described in `sandbox/README.md`.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::crm::Crm;

/// A client of one sandbox's admin interface.
#[derive(Clone)]
pub struct Admin {
    client: Client,
    url: String,
    /// Stands before every call.
    face: &'static str,
    /// How this face is to behave in tests, a JSON document for its own address; empty where it is as it starts.
    settings: &'static str,
}

impl Admin {
    /// For the sandbox at `url` whose authority is `ca_pem`; `face` is [`crate::Crm::face`].
    ///
    /// # Panics
    /// When the certificate cannot be read.
    pub fn new(url: &str, ca_pem: &str, face: &'static str) -> Self {
        // Fails when another test of this process was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(ca_pem.as_bytes()).expect("a certificate");
        let client = Client::builder()
            .tls_certs_only([authority])
            .timeout(Duration::from_secs(120))
            .build()
            .expect("an HTTP client");
        Self {
            client,
            url: url.to_owned(),
            face,
            settings: "",
        }
    }

    /// The same for one CRM, behaving as its descriptor wants.
    ///
    /// # Panics
    /// When the certificate cannot be read, or the settings cannot be made.
    pub async fn of(crm: &Crm, url: &str, ca_pem: &str) -> Self {
        let admin = Self {
            settings: crm.settings,
            ..Self::new(url, ca_pem, crm.face)
        };
        admin.set_up().await;
        admin
    }

    async fn set_up(&self) {
        if !self.settings.is_empty() {
            let settings = serde_json::from_str(self.settings).expect("JSON");
            self.ask(Method::POST, "", Some(settings)).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let mut request = self
            .client
            .request(method, format!("{}{}{path}", self.url, self.face));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.expect("the sandbox answers");
        let status = reply.status();
        let text = reply.text().await.expect("a whole answer");
        assert!(status.is_success(), "{path}: {status} {text}");
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Any call of the interface that takes a body, such as `/release`.
    pub async fn post(&self, path: &str, body: Value) -> Option<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// What a call of the interface tells.
    ///
    /// # Panics
    /// When it tells nothing.
    pub async fn get(&self, path: &str) -> Value {
        let reply = self.ask(Method::GET, path, None).await;
        reply.expect("a report")
    }

    /// Waits until so many requests are held.
    ///
    /// # Panics
    /// When they are not within half a minute.
    pub async fn held(&self, count: usize) {
        let path = format!("/held?wait_ms=30000&count={count}");
        let reply = self.ask(Method::GET, &path, None).await.expect("a report");
        let held = reply["held"].as_array().map_or(0, Vec::len);
        assert!(held >= count, "{held} requests are held");
    }

    /// Adds a fault, as `{"path": …, "kind": …, "times": …}`.
    pub async fn fault(&self, fault: Value) {
        self.ask(Method::POST, "/faults", Some(fault)).await;
    }

    /// Removes all faults; what hangs goes on hanging.
    pub async fn clear_faults(&self) {
        self.ask(Method::DELETE, "/faults", None).await;
    }

    /// Faults, counters and failed sign-ins begin anew, and what hangs is let go.
    pub async fn reset(&self) {
        self.ask(Method::POST, "/reset", None).await;
        self.set_up().await;
    }

    /// Counters begin anew.
    pub async fn clear_counters(&self) {
        self.ask(Method::DELETE, "/requests", None).await;
    }

    /// Every token issued so far ends.
    pub async fn expire_tokens(&self) {
        self.ask(Method::POST, "/expire_tokens", None).await;
    }

    /// Sets the account's allotment.
    pub async fn limits(&self, used: u64, max: u64) {
        self.ask(
            Method::POST,
            "/limits",
            Some(json!({"used": used, "max": max})),
        )
        .await;
    }

    /// Makes the pages of a query ready, so that the sandbox is not what is measured; gives how many.
    pub async fn prerender(&self, query: &str) -> u64 {
        let reply = self
            .ask(Method::POST, "/prerender", Some(json!({"soql": query})))
            .await;
        reply.and_then(|r| r["pages"].as_u64()).unwrap_or(0)
    }

    /// Counters, the latest requests and the sign-ins.
    pub async fn requests(&self) -> Value {
        let reply = self.ask(Method::GET, "/requests", None).await;
        reply.expect("a report")
    }

    /// Requests of one kind: `query`, `query_more`, `login`, `describe`, ….
    pub async fn calls(&self, kind: &str) -> u64 {
        self.requests().await["calls"][kind].as_u64().unwrap_or(0)
    }

    /// Requests for records.
    pub async fn data_calls(&self) -> u64 {
        let report = self.requests().await;
        report["data_calls"].as_u64().expect("a counter")
    }

    /// All requests, sign-ins and metadata included.
    pub async fn all_calls(&self) -> u64 {
        let report = self.requests().await;
        let counters = report["calls"].as_object().expect("counters");
        counters.values().filter_map(Value::as_u64).sum()
    }

    /// The query run last.
    pub async fn last_query(&self) -> Option<String> {
        let reply = self.ask(Method::GET, "/last_query", None).await?;
        reply.as_str().map(str::to_owned)
    }

    /// Refuses records: a rule as `{"object", "field", "value", "code", "times"}`.
    pub async fn record_rule(&self, rule: Value) {
        self.ask(Method::POST, "/record_rules", Some(rule)).await;
    }

    /// Identifiers of the records whose field has this value, letter for letter.
    ///
    /// # Panics
    /// When there is no such object or field.
    pub async fn find(&self, object: &str, field: &str, value: &str) -> Vec<String> {
        let query = format!("/find?object={object}&field={field}&value={value}");
        let reply = self.ask(Method::GET, &query, None).await;
        let reply = reply.expect("a list");
        let ids = reply["ids"].as_array().expect("identifiers");
        ids.iter()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    }

    /// Changes records behind the interface's back, as `{"object", "ids", "delete", "at", …}`.
    pub async fn change(&self, change: Value) -> Value {
        let reply = self.ask(Method::POST, "/records", Some(change)).await;
        reply.unwrap_or_default()
    }

    /// Moves the CRM's clock by so many seconds from the machine's.
    pub async fn clock(&self, offset_s: i64) {
        self.ask(Method::POST, "/clock", Some(json!({"offset_s": offset_s})))
            .await;
    }

    /// How the deletion log behaves, as `{"covered_lag_s", "reach_s", "max_ids"}`.
    pub async fn deletion_log(&self, settings: Value) {
        self.ask(Method::POST, "/deletion_log", Some(settings))
            .await;
    }

    /// Makes the changes that were announced as late.
    pub async fn commit(&self) {
        self.ask(Method::POST, "/commit", Some(json!({}))).await;
    }

    /// How bulk jobs behave, as `{"polls_until_done", "fail_after", …}`.
    pub async fn bulk(&self, settings: Value) {
        self.ask(Method::POST, "/bulk", Some(settings)).await;
    }

    /// Waits until a request is held by a fault of the kind `hold`.
    ///
    /// # Panics
    /// When none is within half a minute.
    pub async fn wait_held(&self) {
        let reply = self
            .ask(Method::GET, "/held?wait_ms=30000&count=1", None)
            .await;
        let held = reply.expect("a list");
        let n_held = held["held"].as_array().map_or(0, Vec::len);
        assert!(n_held > 0, "no request was held");
    }

    /// Lets held requests go on, and returns when they are done with.
    pub async fn release(&self) {
        self.ask(Method::POST, "/release", None).await;
    }

    /// Records written since the counters began: `created`, `updated`, `deleted` or `upserted`.
    pub async fn writes(&self, what: &str) -> u64 {
        let report = self.requests().await;
        report["writes"][what].as_u64().expect("a counter")
    }

    /// Records of an object outside the recycle bin.
    ///
    /// # Panics
    /// When there is no such object.
    pub async fn record_count(&self, object: &str) -> u64 {
        let path = format!("/record_count?object={object}");
        let reply = self.ask(Method::GET, &path, None).await;
        reply
            .and_then(|reply| reply["count"].as_u64())
            .expect("a count")
    }
}
