//! Bulk query jobs: what is refused, the states, pages of CSV and what stands in them.

use std::collections::HashSet;
use std::io::Read as _;

use crate::common::{V, World, code, world};
use crate::jobs::{column, parse};
use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn query(soql: &str) -> Value {
    json!({"operation": "query", "query": soql})
}

fn header<'a>(headers: &'a reqwest::header::HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().expect("a header")
}

#[tokio::test]
async fn a_job_moves_on_with_each_look() {
    let world = world(Config::default()).await;
    let (status, job) = world.create_query("SELECT Id FROM Account").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(job["state"], "UploadComplete");
    assert_eq!(job["object"], "Account");
    assert_eq!(job["apiVersion"], json!(66.0));
    assert_eq!(job["lineEnding"], "LF");
    assert_eq!(job["columnDelimiter"], "COMMA");
    assert!(job["createdDate"].as_str().unwrap().ends_with(".000+0000"));
    assert!(job.get("query").is_none() && job.get("jobType").is_none());
    let id = job["id"].as_str().unwrap();
    assert!(id.starts_with("750") && id.len() == 18);
    let path = format!("{V}/jobs/query/{id}");
    let (status, early) = world.get(&format!("{path}/results")).await;
    assert_eq!(
        (status, code(&early)),
        (StatusCode::BAD_REQUEST, "INVALIDJOBSTATE")
    );
    let state = async || world.get(&path).await.1["state"].clone();
    assert_eq!(state().await, "InProgress");
    let (_, done) = world.get(&path).await;
    assert_eq!(done["state"], "JobComplete");
    assert_eq!(done["jobType"], "V2Query");
    assert_eq!(done["isPkChunkingSupported"], true);
    let (_, all) = world.query("SELECT COUNT() FROM Account").await;
    assert_eq!(done["numberRecordsProcessed"], all["totalSize"]);
    world.bulk_settings(json!({"polls_until_done": 0})).await;
    let (_, job) = world
        .create_query("SELECT Id FROM Account ORDER BY Id LIMIT 3")
        .await;
    let path = format!("{V}/jobs/query/{}", job["id"].as_str().unwrap());
    let (_, done) = world.get(&path).await;
    assert_eq!(done["state"], "JobComplete", "no look needed");
    assert_eq!(done["isPkChunkingSupported"], false, "ORDER BY and LIMIT");
    assert_eq!(done["numberRecordsProcessed"], 3);
}

#[tokio::test]
async fn refused_as_the_page_says() {
    let world = world(Config::default()).await;
    world
        .bulk_settings(json!({"refused_objects": ["Opportunity"]}))
        .await;
    for (soql, expected) in [
        ("SELECT Id FROM WorkOrderStatus", "INVALIDENTITY"),
        ("SELECT Id FROM Opportunity", "INVALIDENTITY"),
        ("SELECT Id, BillingAddress FROM Account", "API_ERROR"),
        ("SELECT Location__c FROM AllTypes__c", "API_ERROR"),
        ("SELECT Body__c FROM AllTypes__c", "API_ERROR"),
        (
            "SELECT Industry FROM Account GROUP BY Industry",
            "API_ERROR",
        ),
        ("SELECT COUNT() FROM Account", "API_ERROR"),
        ("SELECT MAX(Name) FROM Account", "API_ERROR"),
        ("SELECT Id FROM Account OFFSET 5", "API_ERROR"),
        (
            "SELECT FIELDS(ALL) FROM Account LIMIT 200",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "MALFORMED_QUERY",
        ),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
    ] {
        let (status, answer) = world.create_query(soql).await;
        assert_eq!(
            (status, code(&answer)),
            (StatusCode::BAD_REQUEST, expected),
            "{soql}: {answer}"
        );
    }
    let (_, answer) = world
        .create_query("SELECT BillingAddress FROM Account")
        .await;
    assert_eq!(
        answer[0]["message"],
        "Selecting compound data not supported in Bulk Query"
    );
    for body in [
        json!({"operation": "insert", "query": "SELECT Id FROM Account"}),
        json!({"operation": "query"}),
        json!({"operation": "query", "query": "SELECT Id FROM Account", "contentType": "JSON"}),
        json!({"operation": "query", "query": "SELECT Id FROM Account", "lineEnding": "CR"}),
    ] {
        let (status, answer) = world.post(&format!("{V}/jobs/query"), body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    for path in [
        "jobs/query/7505x0000000009AAA",
        "jobs/query/x/results",
        "jobs/other",
    ] {
        assert_eq!(
            world.get(&format!("{V}/{path}")).await.0,
            StatusCode::NOT_FOUND
        );
    }
    let (status, _) = world
        .post(
            "/services/data/v46.0/jobs/query",
            query("SELECT Id FROM Account"),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "query jobs came with 47.0");
}

#[tokio::test]
async fn pages_add_up_and_end_with_null() {
    let world = world(Config {
        contacts: 3_000,
        ..Config::default()
    })
    .await;
    let (path, job) = world
        .finished_query(query("SELECT Id, Account.Name FROM Contact"))
        .await;
    let total = job["numberRecordsProcessed"].as_u64().unwrap() as usize;
    let mut ids: Vec<String> = Vec::new();
    let mut next = format!("{path}/results?maxRecords=1000");
    loop {
        let (status, headers, text) = world.fetch(Method::GET, &next, None).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(header(&headers, "content-type"), "text/csv");
        let table = parse(&text);
        assert_eq!(
            table[0],
            ["Id", "Account.Name"],
            "every page has the header"
        );
        assert_eq!(
            header(&headers, "sforce-numberofrecords"),
            (table.len() - 1).to_string()
        );
        ids.extend(column(&table, "Id").into_iter().map(str::to_owned));
        match header(&headers, "sforce-locator") {
            "null" => break,
            locator => next = format!("{path}/results?maxRecords=1000&locator={locator}"),
        }
    }
    assert_eq!(ids.len(), total);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), total);
    let (_, headers, text) = world
        .fetch(Method::GET, &format!("{path}/results"), None)
        .await;
    assert_eq!(header(&headers, "sforce-locator"), "null");
    assert_eq!(column(&parse(&text), "Id"), ids);
    for wrong in [
        "results?locator=nope",
        "results?maxRecords=0",
        "results?maxRecords=many",
    ] {
        assert_eq!(
            world.get(&format!("{path}/{wrong}")).await.0,
            StatusCode::BAD_REQUEST
        );
    }
    let other = path.replace("v66.0", "v65.0");
    let (status, _) = world.get(&format!("{other}/results")).await;
    assert_eq!(
        status,
        StatusCode::CONFLICT,
        "results belong to the version of the job"
    );
}

#[tokio::test]
async fn result_pages_can_be_fetched_side_by_side() {
    let world = world(Config {
        contacts: 4_000,
        page_cap: Some(500),
        ..Config::default()
    })
    .await;
    let (path, job) = world.finished_query(query("SELECT Id FROM Contact")).await;
    let (mut urls, mut next, mut calls) = (Vec::new(), format!("{path}/resultPages"), 0);
    loop {
        let (status, answer) = world.get(&next).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let pages = answer["resultPages"].as_array().unwrap();
        assert!(pages.len() <= 5);
        urls.extend(
            pages
                .iter()
                .map(|p| p["resultUrl"].as_str().unwrap().to_owned()),
        );
        calls += 1;
        if answer["done"] == true {
            assert!(answer.get("nextRecordsUrl").is_none());
            break;
        }
        next = answer["nextRecordsUrl"].as_str().unwrap().to_owned();
    }
    assert!(calls > 1);
    let mut ids = HashSet::new();
    for url in urls.iter().rev() {
        let (_, _, text) = world.fetch(Method::GET, url, None).await;
        ids.extend(column(&parse(&text), "Id").into_iter().map(str::to_owned));
    }
    assert_eq!(
        ids.len() as u64,
        job["numberRecordsProcessed"].as_u64().unwrap()
    );
    let old = json!({"operation": "query", "query": "SELECT Id FROM Lead"});
    let (_, job) = world.post("/services/data/v57.0/jobs/query", old).await;
    let old = format!(
        "/services/data/v57.0/jobs/query/{}",
        job["id"].as_str().unwrap()
    );
    world.ended(&old).await;
    assert_eq!(
        world.get(&format!("{old}/resultPages")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn values_stand_in_csv_as_in_json_but_for_moments_and_nulls() {
    let world = world(Config::default()).await;
    let columns = "Id, Text__c, LongText__c, Check__c, Number__c, Precise__c, Date__c, DateTime__c, Time__c, Multi__c, Account__r.Name";
    let soql = format!("SELECT {columns} FROM AllTypes__c");
    let (_, json) = world.query(&soql).await;
    let (path, _) = world.finished_query(query(&soql)).await;
    let (_, _, text) = world
        .fetch(Method::GET, &format!("{path}/results"), None)
        .await;
    assert!(
        text.lines()
            .next()
            .unwrap()
            .split(',')
            .all(|f| f.starts_with('"') && f.ends_with('"'))
    );
    let table = parse(&text);
    let records = json["records"].as_array().unwrap();
    assert_eq!(records.len() + 1, table.len());
    let raw = world
        .fetch(Method::GET, &World::query_path(&soql), None)
        .await
        .2;
    for (record, row) in records.iter().zip(&table[1..]) {
        for (name, csv) in table[0].iter().zip(row) {
            let mut value = record;
            for part in name.split('.') {
                value = &value[part];
            }
            match value {
                Value::Null => assert_eq!(csv, "", "{name}"),
                Value::Bool(flag) => assert_eq!(csv, &flag.to_string()),
                // serde reads numbers into floats; the letters must occur in the JSON text.
                Value::Number(_) => assert!(raw.contains(&format!("\"{name}\":{csv}")), "{csv}"),
                Value::String(text) if name == "DateTime__c" => {
                    assert_eq!(csv, &text.replace("+0000", "Z"));
                }
                Value::String(text) => assert_eq!(csv, text),
                other => panic!("{name} is {other}"),
            }
        }
    }
    assert!(column(&table, "Text__c").iter().any(|t| t.contains('\n')));
    assert!(raw.contains("\"Precise__c\":12345678901234567890.123456789"));
}

#[tokio::test]
async fn delimiters_line_endings_and_the_recycle_bin_are_as_asked() {
    let world = world(Config::default()).await;
    let soql = "SELECT Id, Name FROM Lead WHERE IsConverted = FALSE LIMIT 2";
    for (delimiter, byte) in [
        ("BACKQUOTE", '`'),
        ("CARET", '^'),
        ("COMMA", ','),
        ("PIPE", '|'),
        ("SEMICOLON", ';'),
        ("TAB", '\t'),
    ] {
        let body = json!({
            "operation": "query", "query": soql, "contentType": "CSV",
            "columnDelimiter": delimiter, "lineEnding": "CRLF",
        });
        let (path, job) = world.finished_query(body).await;
        assert_eq!(job["columnDelimiter"], delimiter);
        let (_, _, text) = world
            .fetch(Method::GET, &format!("{path}/results"), None)
            .await;
        assert!(
            text.starts_with(&format!("\"Id\"{byte}\"Name\"\r\n")),
            "{text}"
        );
        assert_eq!(text.matches("\r\n").count(), 3);
    }
    let count = async |operation: &str| {
        let body = json!({"operation": operation, "query": "SELECT Id FROM AllTypes__c"});
        world.finished_query(body).await.1["numberRecordsProcessed"].clone()
    };
    assert_eq!(count("query").await, 58);
    assert_eq!(count("queryAll").await, 60);
}

#[tokio::test]
async fn nothing_found_is_a_header_or_nothing_at_all() {
    let world = world(Config::default()).await;
    let soql = "SELECT Id FROM Lead WHERE Name = 'nobody at all'";
    let (path, _) = world.finished_query(query(soql)).await;
    let results = format!("{path}/results");
    let (_, headers, text) = world.fetch(Method::GET, &results, None).await;
    assert_eq!(text, "\"Id\"\n");
    assert_eq!(header(&headers, "sforce-locator"), "null");
    assert_eq!(header(&headers, "sforce-numberofrecords"), "0");
    world
        .bulk_settings(
            json!({"empty_result_without_header": true, "header_on_first_page_only": true}),
        )
        .await;
    assert_eq!(world.fetch(Method::GET, &results, None).await.2, "");
    let (path, _) = world.finished_query(query("SELECT Id FROM Lead")).await;
    let page = format!("{path}/results?maxRecords=1");
    let (_, headers, first) = world.fetch(Method::GET, &page, None).await;
    let locator = header(&headers, "sforce-locator");
    let (_, _, second) = world
        .fetch(Method::GET, &format!("{page}&locator={locator}"), None)
        .await;
    assert_eq!((first.lines().count(), second.lines().count()), (2, 1));
    world
        .bulk_settings(json!({"empty_result_without_header": null}))
        .await;
    assert_eq!(world.fetch(Method::GET, &results, None).await.2, "\"Id\"\n");
}

#[tokio::test]
async fn jobs_are_aborted_deleted_listed_and_fail() {
    let world = world(Config::default()).await;
    let (_, job) = world.create_query("SELECT Id FROM Account").await;
    let path = format!("{V}/jobs/query/{}", job["id"].as_str().unwrap());
    let (status, answer) = world.json(Method::DELETE, &path, None).await;
    assert_eq!(
        (status, code(&answer)),
        (StatusCode::BAD_REQUEST, "INVALIDJOBSTATE")
    );
    let patch = async |state: &str| {
        world
            .json(Method::PATCH, &path, Some(json!({"state": state})))
            .await
    };
    assert_eq!(patch("UploadComplete").await.0, StatusCode::BAD_REQUEST);
    let (status, answer) = patch("Aborted").await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::OK, &json!("Aborted"))
    );
    assert_eq!(
        patch("Aborted").await.0,
        StatusCode::BAD_REQUEST,
        "it has ended"
    );
    assert_eq!(world.get(&path).await.1["state"], "Aborted");
    assert_eq!(
        world.get(&format!("{path}/results")).await.0,
        StatusCode::BAD_REQUEST
    );
    world
        .bulk_settings(json!({"query_error": "server gave up"}))
        .await;
    let (failed, job) = world.finished_query(query("SELECT Id FROM Lead")).await;
    assert_eq!(
        (&job["state"], &job["errorMessage"]),
        (&json!("Failed"), &json!("server gave up"))
    );
    assert_eq!(
        world.get(&format!("{failed}/results")).await.0,
        StatusCode::BAD_REQUEST
    );
    let listed = async |filter: &str| {
        let (_, list) = world.get(&format!("{V}/jobs/query{filter}")).await;
        assert_eq!(list["done"], true);
        list["records"].as_array().unwrap().len()
    };
    assert_eq!((listed("").await, listed("?jobState=Failed").await), (2, 1));
    let (status, _, _) = world.fetch(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(listed("").await, 1);
    world.admin(Method::POST, "/reset", None).await;
    assert_eq!(listed("").await, 0);
}

#[tokio::test]
async fn results_are_compressed_and_counted_and_meet_faults() {
    let world = world(Config {
        contacts: 2_000,
        ..Config::default()
    })
    .await;
    let soql = "SELECT Id, Name FROM Contact";
    let ahead = world
        .admin(
            Method::POST,
            "/prerender",
            Some(json!({"soql": soql, "bulk": 500})),
        )
        .await;
    let (path, job) = world.finished_query(query(soql)).await;
    let total = job["numberRecordsProcessed"].as_u64().unwrap();
    assert_eq!(ahead["pages"], total.div_ceil(500));
    let results = format!("{path}/results?maxRecords=500");
    let plain = world.fetch(Method::GET, &results, None).await.2;
    let url = format!("{}{results}", world.sandbox.instance_url);
    let answer = world
        .client
        .get(url)
        .bearer_auth(&world.token)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let body = answer.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain);
    let report = world.admin(Method::GET, "/requests", None).await;
    for (kind, count) in [
        ("bulk_create", 1),
        ("bulk_poll", 2),
        ("bulk_results", 2),
        ("bulk_delete", 0),
        ("bulk_upload", 0),
        ("bulk_close", 0),
    ] {
        assert_eq!(report["calls"][kind], count, "{kind}");
    }
    assert_eq!(report["data_calls"], 5);
    for (kind, harm) in [("short_page", 500), ("malformed", 1), ("nul", 1)] {
        world
            .fault(json!({"path": "/results", "kind": kind, "bytes": 1}))
            .await;
        let (status, headers, text) = world.fetch(Method::GET, &results, None).await;
        assert_eq!(
            (status, header(&headers, "sforce-numberofrecords")),
            (StatusCode::OK, "500")
        );
        match kind {
            "short_page" => assert_eq!(parse(&text).len(), harm),
            "nul" => assert_eq!(text.matches('\0').count(), harm),
            _ => assert_eq!(text.len(), plain.len() / 2),
        }
    }
    let ingest = json!({"operation": "insert", "object": "Lead"});
    world
        .fault(json!({"path": "/jobs/ingest", "kind": "foreign_next_link"}))
        .await;
    let (_, job) = world.post(&format!("{V}/jobs/ingest"), ingest).await;
    let url = job["contentUrl"].as_str().unwrap();
    assert!(
        url.starts_with("https://evil.example/services/data/"),
        "{url}"
    );
    world.admin(Method::DELETE, "/faults", None).await;
    world
        .fault(json!({"path": "/results", "kind": "cut", "bytes": 100}))
        .await;
    let answer = world.send(Method::GET, &results, None).await.unwrap();
    assert!(answer.text().await.is_err(), "the page breaks off");
    world
        .fault(json!({"path": "/jobs/query", "method": "POST", "kind": "lose_reply"}))
        .await;
    let lost = world
        .send(Method::POST, &format!("{V}/jobs/query"), Some(query(soql)))
        .await;
    assert!(lost.is_err());
    let (_, list) = world.get(&format!("{V}/jobs/query")).await;
    assert_eq!(
        list["records"].as_array().unwrap().len(),
        2,
        "carried out all the same"
    );
    let (status, answer) = {
        world
            .fault(json!({
                "path": "/jobs/query", "method": "POST", "kind": "status", "status": 400,
                "error_code": "LIMIT_EXCEEDED",
            }))
            .await;
        world.create_query(soql).await
    };
    assert_eq!(
        (status, code(&answer)),
        (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED")
    );
}
