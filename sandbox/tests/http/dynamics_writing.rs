//! Writing through the Dynamics face: single rows, batches, bulk actions, and what tells of changes.

use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::dynamics::{Answer, World, read, world};

const ID: &str = "11111111-2222-4333-8444-555555555555";

impl World {
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let url = format!("{}/api/data/v9.2{path}", self.sandbox.instance_url);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut call = self.client.request(method, url).bearer_auth(&self.token);
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        if body != Value::Null {
            call = call.json(&body);
        }
        crate::dynamics::read(call).await
    }

    /// A batch; lines end with CR LF. Answers status and text.
    async fn batch(&self, prefer: &str, parts: &[String]) -> Answer {
        let mut body = String::new();
        for part in parts {
            body.push_str(&format!("--batch_T\r\n{part}\r\n"));
        }
        body.push_str("--batch_T--\r\n");
        let url = format!("{}/api/data/v9.2/$batch", self.sandbox.instance_url);
        let call = self
            .client
            .post(url)
            .bearer_auth(&self.token)
            .header("Content-Type", "multipart/mixed; boundary=\"batch_T\"")
            .header("Prefer", prefer)
            .body(body);
        crate::dynamics::read(call).await
    }
}

fn part(id: &str, line: &str, headers: &str, body: &str) -> String {
    let id = match id {
        "" => String::new(),
        id => format!("Content-ID: {id}\r\n"),
    };
    format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{id}\r\n{line} HTTP/1.1\r\nContent-Type: application/json; type=entry\r\n{headers}\r\n{body}"
    )
}

fn change_set(parts: &[String]) -> String {
    let mut out = "Content-Type: multipart/mixed; boundary=changeset_T\r\n\r\n".to_owned();
    for part in parts {
        out.push_str(&format!("--changeset_T\r\n{part}\r\n"));
    }
    out + "--changeset_T--\r\n"
}

#[tokio::test]
async fn a_row_is_made_changed_and_deleted() {
    let world = world(Config::default()).await;
    let row = format!("/contacts({ID})");
    let body = json!({
        "contactid": ID, "firstname": "Ada", "lastname": "Lovelace", "new_score": 1.23456,
        "parentcustomerid_account@odata.bind": "/accounts(accountnumber='ACC-00001')",
    });
    let made = world.send("POST", "/contacts", &[], body.clone()).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.text);
    assert!(
        made.headers["odata-entityid"]
            .to_str()
            .is_ok_and(|url| url.ends_with(&row))
    );
    let again = world.send("POST", "/contacts", &[], body).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(again.body["error"]["code"], "0x80040237");
    let select = "?$select=fullname,new_score,_parentcustomerid_value,versionnumber";
    let read = world.get(&format!("{row}{select}")).await;
    assert_eq!(read.body["fullname"], "Ada Lovelace");
    assert!(read.text.contains("\"new_score\":1.235,"), "{}", read.text);
    assert_eq!(
        read.body["_parentcustomerid_value"],
        "00000001-0000-4000-8000-000000000001"
    );
    let tag = read.headers["etag"].to_str().expect("a tag").to_owned();
    let change = json!({"lastname": "King", "parentcustomerid_account": null});
    let changed = world
        .send("PATCH", &row, &[("If-Match", &tag)], change.clone())
        .await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.text);
    let stale = world
        .send("PATCH", &row, &[("If-Match", &tag)], change)
        .await;
    assert_eq!(stale.body["error"]["code"], "0x80060882");
    let headers = [("If-Match", "*"), ("Prefer", "return=representation")];
    let shown = world
        .send(
            "PATCH",
            &format!("{row}{select}"),
            &headers,
            json!({"firstname": ""}),
        )
        .await;
    assert_eq!(
        (shown.status, &shown.body["fullname"]),
        (StatusCode::OK, &json!("King"))
    );
    assert_eq!(shown.body["_parentcustomerid_value"], Value::Null);
    assert!(!shown.headers.contains_key("odata-entityid"));
    let gone = world.send("DELETE", &row, &[], Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    for (method, headers) in [("DELETE", &[][..]), ("PATCH", &[("If-Match", "*")])] {
        let missing = world.send(method, &row, headers, json!({})).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        assert_eq!(missing.body["error"]["code"], "0x80040217");
    }
    // Without If-Match the row comes back.
    let revived = world
        .send("PATCH", &row, &[], json!({"lastname": "Again"}))
        .await;
    assert_eq!(revived.status, StatusCode::NO_CONTENT);
    let refused = world
        .send("PATCH", &row, &[("If-None-Match", "*")], json!({}))
        .await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn rows_are_upserted_by_alternate_keys() {
    let world = world(Config::default()).await;
    let headers = [("Prefer", "return=representation")];
    let path = "/contacts(new_externalkey='K''1')?$select=lastname,new_externalkey";
    for (status, name) in [(StatusCode::CREATED, "One"), (StatusCode::OK, "Two")] {
        let done = world
            .send("PATCH", path, &headers, json!({"lastname": name}))
            .await;
        assert_eq!(
            (done.status, &done.body["lastname"]),
            (status, &json!(name)),
            "{}",
            done.text
        );
        assert_eq!(done.body["new_externalkey"], "K'1");
    }
    let taken = json!({"lastname": "x", "new_externalkey": "k'1"});
    let taken = world.send("POST", "/contacts", &[], taken).await;
    assert_eq!(taken.body["error"]["code"], "0x80060892");
    let missing = world
        .send(
            "PATCH",
            "/contacts(new_externalkey='none')",
            &[("If-Match", "*")],
            json!({}),
        )
        .await;
    assert_eq!(missing.body["error"]["code"], "0x80060891");
    let no_key = world
        .send("PATCH", "/contacts(lastname='x')", &[], json!({}))
        .await;
    assert_eq!(no_key.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bad_values_are_refused_and_write_nothing() {
    let world = world(Config::default()).await;
    for (body, code) in [
        (json!({"new_name": "x"}), "0x80040203"),
        (
            json!({"new_code": "c", "new_name": "x".repeat(101)}),
            "0x80044331",
        ),
        (json!({"new_code": "c", "new_nothing": 1}), "0x80048d19"),
        (
            json!({"new_code": "c", "_new_accountid_value": ID}),
            "0x80048d19",
        ),
        (
            json!({"new_code": "c", "new_accountid@odata.bind": "/accounts(1)"}),
            "0x80048d19",
        ),
        (
            json!({"new_code": "c", "new_AccountId@odata.bind": format!("/accounts({ID})")}),
            "0x80040217",
        ),
        (
            json!({"new_code": "c", "new_AccountId@odata.bind": "/contacts(00000002-0000-4000-8000-000000000001)"}),
            "0x80040203",
        ),
        (json!({"new_code": "c", "new_whole": "1"}), "0x80048d19"),
        (
            json!({"new_code": "c", "new_whole": 2_147_483_648_i64}),
            "0x80044330",
        ),
        (json!({"new_code": "c", "new_choice": 5}), "0x80044330"),
        (
            json!({"new_code": "c", "new_choices": "1,77"}),
            "0x80044330",
        ),
        (json!({"new_code": "c", "new_yesno": 1}), "0x80048d19"),
        (
            json!({"new_code": "c", "new_day": "2024-01-01T00:00:00Z"}),
            "0x80048d19",
        ),
        (
            json!({"new_code": "c", "new_when": "1752-12-31T23:59:59Z"}),
            "0x80044330",
        ),
        (
            json!({"new_code": "c", "new_guid": "no guid"}),
            "0x80048d19",
        ),
        (
            json!({"new_code": "c", "statecode": 1, "statuscode": 1}),
            "0x80048408",
        ),
        (json!({"new_code": "code-0"}), "0x80060892"),
    ] {
        let refused = world
            .send("POST", "/new_alltypeses", &[], body.clone())
            .await;
        assert_eq!(
            refused.body["error"]["code"], code,
            "{body}: {}",
            refused.text
        );
    }
    assert_eq!(world.get("/new_alltypeses/$count").await.text, "\u{feff}6");
    let won = json!({"statecode": 1, "statuscode": 3});
    let path = "/opportunities(00000003-0000-4000-8000-000000000001)";
    let refused = world.send("PATCH", path, &[("If-Match", "*")], won).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let audit = world.send("POST", "/audits", &[], json!({})).await;
    assert_eq!(audit.status, StatusCode::METHOD_NOT_ALLOWED);
    let twice = json!({"lastname": "x", "emailaddress1": "lsinisbury0@dropbox.com.example"});
    let on = [("MSCRM.SuppressDuplicateDetection", "false")];
    let found = world.send("POST", "/contacts", &on, twice.clone()).await;
    assert_eq!(
        (found.status.as_u16(), &found.body["error"]["code"]),
        (500, &json!("0x80040333"))
    );
    assert_eq!(
        world.send("POST", "/contacts", &[], twice).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_batch_stops_or_goes_on_and_a_change_set_holds_together() {
    let world = world(Config::default()).await;
    let url = format!("{}/api/data/v9.2", world.sandbox.instance_url);
    let long = "x".repeat(201);
    let parts = [
        part("", "POST /api/data/v9.2/tasks", "", r#"{"subject":"one"}"#),
        part(
            "",
            &format!("POST {url}/tasks"),
            "",
            &format!(r#"{{"subject":"{long}"}}"#),
        ),
        part("", "GET tasks?$select=subject", "", ""),
    ];
    let stopped = world.batch("", &parts).await;
    assert_eq!(stopped.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        stopped.text.matches("HTTP/1.1 ").count(),
        2,
        "{}",
        stopped.text
    );
    assert!(stopped.text.contains("0x80044331") && stopped.text.contains("REQ_ID"));
    let whole = world.batch("odata.continue-on-error", &parts).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.text.matches("HTTP/1.1 ").count(), 3);
    assert_eq!(
        whole.text.matches("\"subject\":\"one\"").count(),
        2,
        "{}",
        whole.text
    );
    // The second and third operations point at what the first made.
    let good = change_set(&[
        part(
            "1",
            "POST /api/data/v9.2/accounts",
            "",
            r#"{"name":"Made in a set"}"#,
        ),
        part(
            "2",
            "POST /api/data/v9.2/contacts",
            "",
            r#"{"lastname":"Set","parentcustomerid_account@odata.bind":"$1"}"#,
        ),
        part("3", "PATCH $1", "If-Match: *\r\n", r#"{"fax":"1"}"#),
    ]);
    let done = world.batch("", &[good]).await;
    assert_eq!(
        done.text.matches("204 No Content").count(),
        3,
        "{}",
        done.text
    );
    assert!(done.text.contains("Content-ID: 2") && done.text.contains("changesetresponse_"));
    let bad = change_set(&[
        part(
            "1",
            "POST /api/data/v9.2/accounts",
            "",
            r#"{"name":"Never"}"#,
        ),
        part(
            "2",
            "DELETE /api/data/v9.2/accounts(11111111-2222-4333-8444-555555555555)",
            "",
            "",
        ),
    ]);
    let undone = world.batch("odata.continue-on-error", &[bad]).await;
    assert_eq!(
        undone.text.matches("HTTP/1.1 404").count(),
        1,
        "{}",
        undone.text
    );
    for (filter, count) in [("name%20eq%20'Never'", 0), ("fax%20eq%20'1'", 1)] {
        let rows = world
            .get(&format!("/accounts?$select=name&$filter={filter}"))
            .await;
        assert_eq!(
            rows.body["value"].as_array().map(Vec::len),
            Some(count),
            "{filter}"
        );
    }
    let read_in_set = change_set(&[part("1", "GET /api/data/v9.2/accounts", "", "")]);
    assert_eq!(
        world.batch("", &[read_in_set]).await.status,
        StatusCode::BAD_REQUEST
    );
    let many = vec![part("", "GET /api/data/v9.2/WhoAmI", "", ""); 1_001];
    assert_eq!(world.batch("", &many).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bulk_actions_write_all_rows_or_none() {
    let world = world(Config::default()).await;
    let kind = "Microsoft.Dynamics.CRM.task";
    let action = |name: &str| format!("/tasks/Microsoft.Dynamics.CRM.{name}");
    let target = |subject: &str| json!({"@odata.type": kind, "subject": subject});
    let body = json!({"Targets": [target("a"), target("b")]});
    let made = world
        .send("POST", &action("CreateMultiple"), &[], body)
        .await;
    let ids = made.body["Ids"].as_array().expect("ids").clone();
    assert_eq!((made.status, ids.len()), (StatusCode::OK, 2));
    let long = "x".repeat(201);
    let body = json!({"Targets": [target("c"), target(&long)]});
    let none = world
        .send("POST", &action("CreateMultiple"), &[], body)
        .await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/tasks/$count").await.text, "\u{feff}2");
    let update = |id: &Value| json!({"@odata.type": kind, "activityid": id, "subject": "changed"});
    let body = json!({"Targets": [update(&ids[0]), update(&json!(ID))]});
    let missing = world
        .send("POST", &action("UpdateMultiple"), &[], body.clone())
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let upserted = world
        .send("POST", &action("UpsertMultiple"), &[], body)
        .await;
    assert_eq!(upserted.status, StatusCode::NO_CONTENT, "{}", upserted.text);
    assert_eq!(world.get("/tasks/$count").await.text, "\u{feff}3");
    let deleted = world
        .send(
            "POST",
            &action("DeleteMultiple"),
            &[],
            json!({"Targets": []}),
        )
        .await;
    assert_eq!(deleted.status, StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn changes_are_told_by_delta_links_and_audits() {
    let world = world(Config::default()).await;
    let first = world
        .call(
            Method::GET,
            "/accounts?$select=name",
            "odata.track-changes",
            None,
        )
        .await;
    let delta = first.body["@odata.deltaLink"]
        .as_str()
        .expect("a link")
        .to_owned();
    let row = "/accounts(00000001-0000-4000-8000-000000000005)";
    let other = "/accounts(00000001-0000-4000-8000-000000000006)";
    world
        .send(
            "PATCH",
            row,
            &[("If-Match", "*")],
            json!({"name": "Changed"}),
        )
        .await;
    world.send("DELETE", other, &[], Value::Null).await;
    let changes = world.get(&delta).await;
    let rows = changes.body["value"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{}", changes.text);
    assert_eq!(rows[0]["name"], "Changed");
    assert_eq!(rows[1]["reason"], "deleted");
    assert_eq!(rows[1]["id"], "00000001-0000-4000-8000-000000000006");
    let next = changes.body["@odata.deltaLink"].as_str().expect("a link");
    assert_eq!(world.get(next).await.body["value"], json!([]));
    let audits = world
        .get("/audits?$select=_objectid_value,objecttypecode,createdon&$filter=operation%20eq%203%20and%20objecttypecode%20eq%20'account'&$orderby=createdon%20asc")
        .await;
    assert_eq!(
        audits.body["value"][0]["_objectid_value"], rows[1]["id"],
        "{}",
        audits.text
    );
    let refused = world
        .call(Method::GET, "/accounts?$top=1", "odata.track-changes", None)
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let untracked = world
        .call(
            Method::GET,
            "/leads?$select=subject",
            "odata.track-changes",
            None,
        )
        .await;
    assert_eq!(untracked.status, StatusCode::NOT_IMPLEMENTED);
    let url = format!("{}/dynamics/expire_delta_tokens", world.sandbox.admin_url);
    world.client.post(url).send().await.expect("an answer");
    let expired = world.get(&delta).await;
    assert_eq!(expired.body["error"]["code"], "0x80044352");
}

#[tokio::test]
async fn decimals_keep_more_digits_than_a_double_has() {
    let world = world(Config::default()).await;
    let url = format!(
        "{}/api/data/v9.2/new_alltypeses",
        world.sandbox.instance_url
    );
    let call = world
        .client
        .post(url)
        .bearer_auth(&world.token)
        .header("Prefer", "return=representation")
        .header("Content-Type", "application/json")
        .body(r#"{"new_name":"Exact","new_code":"Exact","new_money":922337203685477.5807,"new_decimal":-99999999999.98765,"new_whole":7}"#);
    let answer = read(call).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(
        answer.text.contains("\"new_money\":922337203685477.5807"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.contains("\"new_decimal\":-99999999999.98765"),
        "{}",
        answer.text
    );
}
