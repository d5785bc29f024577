//! What the tests of bulk jobs share: calls that answer CSV, and jobs from the first step to the last.

use crate::common::{V, World};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Rows of a CSV answer, its header first.
pub type Table = Vec<Vec<String>>;

/// Reads CSV with commas.
pub fn parse(text: &str) -> Table {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
        .records()
        .map(|row| {
            let row = row.expect("CSV");
            row.iter().map(str::to_owned).collect()
        })
        .collect()
}

/// The column of this name, without the header.
pub fn column<'t>(table: &'t Table, name: &str) -> Vec<&'t str> {
    let place = table[0].iter().position(|n| n == name).expect("a column");
    table[1..].iter().map(|row| row[place].as_str()).collect()
}

impl World {
    /// Any call; the body of the answer as text.
    pub async fn fetch(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, HeaderMap, String) {
        let answer = self.send(method, path, body).await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.text().await.expect("a body"))
    }

    /// A call that answers JSON.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let (status, _, text) = self.fetch(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Changes how jobs behave.
    pub async fn bulk_settings(&self, settings: Value) {
        self.admin(Method::POST, "/bulk", Some(settings)).await;
    }

    /// Creates a query job.
    pub async fn create_query(&self, soql: &str) -> (StatusCode, Value) {
        let body = json!({"operation": "query", "query": soql});
        self.post(&format!("{V}/jobs/query"), body).await
    }

    /// Creates a query job and looks at it until it has ended; its address and its last document.
    pub async fn finished_query(&self, body: Value) -> (String, Value) {
        let (status, job) = self.post(&format!("{V}/jobs/query"), body).await;
        assert_eq!(status, StatusCode::OK, "{job}");
        let path = format!("{V}/jobs/query/{}", job["id"].as_str().expect("an id"));
        let job = self.ended(&path).await;
        (path, job)
    }

    /// Creates an ingest job; its address.
    pub async fn open_ingest(&self, body: Value) -> String {
        let (status, job) = self.post(&format!("{V}/jobs/ingest"), body).await;
        assert_eq!(status, StatusCode::OK, "{job}");
        format!("{V}/jobs/ingest/{}", job["id"].as_str().expect("an id"))
    }

    /// Uploads the data of a job; the status.
    pub async fn upload(&self, path: &str, csv: impl Into<reqwest::Body>) -> StatusCode {
        let answer = self
            .client
            .put(format!("{}{path}/batches", self.sandbox.instance_url))
            .bearer_auth(&self.token)
            .header("Content-Type", "text/csv")
            .body(csv)
            .send()
            .await;
        answer.expect("an answer").status()
    }

    /// Sets the state of a job.
    pub async fn set(&self, path: &str, state: &str) -> (StatusCode, Value) {
        self.json(Method::PATCH, path, Some(json!({"state": state})))
            .await
    }

    /// Creates an ingest job, uploads and closes it; its address.
    pub async fn closed_ingest(&self, body: Value, csv: &str) -> String {
        let path = self.open_ingest(body).await;
        assert_eq!(
            self.upload(&path, csv.to_owned()).await,
            StatusCode::CREATED
        );
        let (status, job) = self.set(&path, "UploadComplete").await;
        assert_eq!(status, StatusCode::OK, "{job}");
        path
    }

    /// Runs an ingest job to its end; its address and its last document.
    pub async fn ingest(&self, body: Value, csv: &str) -> (String, Value) {
        let path = self.closed_ingest(body, csv).await;
        let job = self.ended(&path).await;
        (path, job)
    }

    /// One of the result lists of an ingest job.
    pub async fn results(&self, path: &str, list: &str) -> Table {
        let (status, headers, text) = self
            .fetch(Method::GET, &format!("{path}/{list}"), None)
            .await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert_eq!(headers["content-type"], "text/csv");
        parse(&text)
    }

    /// Looks at a job until it has ended.
    pub async fn ended(&self, path: &str) -> Value {
        for _ in 0..100 {
            let (status, job) = self.get(path).await;
            assert_eq!(status, StatusCode::OK, "{job}");
            if matches!(
                job["state"].as_str(),
                Some("JobComplete" | "Failed" | "Aborted")
            ) {
                return job;
            }
        }
        panic!("{path} does not end");
    }
}
