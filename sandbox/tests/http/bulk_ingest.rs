//! Bulk ingest jobs: the steps of a job, what a cell means, the three result lists, and jobs that end early.

use std::collections::HashSet;
use std::io::Write as _;

use crate::common::{V, World, code, world};
use crate::jobs::{Table, column};
use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn insert(object: &str) -> Value {
    json!({"operation": "insert", "object": object, "contentType": "CSV"})
}

fn sorted(mut values: Vec<&str>) -> Vec<&str> {
    values.sort_unstable();
    values
}

/// The value of a column in the row whose key column holds `key`.
fn value<'t>(table: &'t Table, key: (&str, &str), name: &str) -> &'t str {
    let at = column(table, key.0).iter().position(|v| *v == key.1);
    column(table, name)[at.expect("a row")]
}

fn leads(count: usize) -> String {
    let mut csv = "LastName,Company,Status\n".to_owned();
    for number in 0..count {
        csv.push_str(&format!(
            "Bulk {number:04},\"Company, {number}\",Open - Not Contacted\n"
        ));
    }
    csv
}

async fn count(world: &World, from: &str) -> u64 {
    let (_, answer) = world.query(&format!("SELECT COUNT() FROM {from}")).await;
    answer["totalSize"].as_u64().unwrap()
}

#[tokio::test]
async fn a_job_takes_its_steps_in_order() {
    let world = world(Config::default()).await;
    let (status, job) = world
        .post(&format!("{V}/jobs/ingest"), insert("lead"))
        .await;
    assert_eq!(status, StatusCode::OK);
    let id = job["id"].as_str().unwrap();
    assert_eq!(
        (&job["state"], &job["object"]),
        (&json!("Open"), &json!("Lead"))
    );
    assert_eq!(job["apiVersion"], json!(66.0));
    assert_eq!(
        job["contentUrl"],
        format!("services/data/v66.0/jobs/ingest/{id}/batches")
    );
    let path = format!("{V}/jobs/ingest/{id}");
    let refused = async |answer: (StatusCode, Value)| {
        assert_eq!(
            (answer.0, code(&answer.1)),
            (StatusCode::BAD_REQUEST, "INVALIDJOBSTATE")
        );
    };
    assert_eq!(
        world.get(&path).await.1["state"],
        "Open",
        "looking does not close it"
    );
    refused(world.set(&path, "UploadComplete").await).await;
    refused(world.get(&format!("{path}/successfulResults")).await).await;
    refused(world.json(Method::DELETE, &path, None).await).await;
    let (status, _) = world
        .json(Method::PUT, &format!("{path}/batches"), Some(json!({})))
        .await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(world.upload(&path, leads(450)).await, StatusCode::CREATED);
    assert_eq!(
        world.upload(&path, leads(1)).await,
        StatusCode::BAD_REQUEST,
        "only one upload"
    );
    let (status, closed) = world.set(&path, "UploadComplete").await;
    assert_eq!(
        (status, &closed["state"]),
        (StatusCode::OK, &json!("UploadComplete"))
    );
    assert!(
        closed.get("numberRecordsProcessed").is_none(),
        "a partial document"
    );
    assert_eq!(
        world.upload(&path, leads(1)).await,
        StatusCode::BAD_REQUEST,
        "closed"
    );
    refused(world.set(&path, "UploadComplete").await).await;
    assert_eq!(world.get(&path).await.1["state"], "InProgress");
    refused(world.get(&format!("{path}/failedResults")).await).await;
    let (_, done) = world.get(&path).await;
    assert_eq!(done["state"], "JobComplete");
    assert_eq!(done["jobType"], "V2Ingest");
    assert_eq!(
        (
            &done["numberRecordsProcessed"],
            &done["numberRecordsFailed"]
        ),
        (&json!(450), &json!(0))
    );
    refused(world.set(&path, "Aborted").await).await;
    let table = world.results(&path, "successfulResults/").await;
    assert_eq!(
        table[0],
        ["sf__Id", "sf__Created", "LastName", "Company", "Status"]
    );
    assert!(
        column(&table, "sf__Created")
            .iter()
            .all(|created| *created == "true")
    );
    let names = column(&table, "LastName");
    let expected: Vec<String> = (0..450).map(|n| format!("Bulk {n:04}")).collect();
    assert_ne!(names, expected, "not in the order of the upload");
    assert_eq!(sorted(names), expected);
    assert_eq!(world.results(&path, "failedResults").await.len(), 1);
    assert_eq!(
        world.results(&path, "unprocessedRecords").await,
        [["LastName", "Company", "Status"]]
    );
    let (_, record) = world
        .query(&format!(
            "SELECT Company FROM Lead WHERE Id = '{}'",
            value(&table, ("LastName", "Bulk 0123"), "sf__Id")
        ))
        .await;
    assert_eq!(record["records"][0]["Company"], "Company, 123");
    let (status, _, _) = world.fetch(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(report["calls"]["bulk_upload"], 4);
    assert_eq!(report["calls"]["bulk_delete"], 2);
    assert_eq!(report["calls"]["bulk_close"], 4);
}

#[tokio::test]
async fn refused_on_create() {
    let world = world(Config::default()).await;
    for (body, expected) in [
        (insert("Nope"), "INVALIDENTITY"),
        (insert("WorkOrderStatus"), "INVALIDENTITY"),
        (
            json!({"operation": "query", "object": "Lead"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "upsert", "object": "Contact"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "upsert", "object": "Contact", "externalIdFieldName": "Title"}),
            "INVALIDJOB",
        ),
        (
            json!({"operation": "hardDelete", "object": "Lead"}),
            "FEATURENOTENABLED",
        ),
        (
            json!({"operation": "insert", "object": "Lead", "contentType": "XML"}),
            "INVALIDJOB",
        ),
        (json!({"operation": "insert"}), "JSON_PARSER_ERROR"),
    ] {
        let (status, answer) = world.post(&format!("{V}/jobs/ingest"), body.clone()).await;
        assert_eq!(
            (status, code(&answer)),
            (StatusCode::BAD_REQUEST, expected),
            "{body}"
        );
    }
}

#[tokio::test]
async fn cells_set_leave_alone_or_empty_fields() {
    let world = world(Config::default()).await;
    let csv = "NAME,ExternalKey__c,Phone,Fax,AnnualRevenue,Unknown__c,Owner.Username\n\
               \"One \"\"quoted\"\"\nline\",bulk-1,1,2,1000.50,x,second@crm-sandbox.example\n\
               Two,bulk-2,,,,y,\n";
    let (path, job) = world.ingest(insert("Account"), csv).await;
    assert_eq!(
        job["numberRecordsFailed"],
        0,
        "{:?}",
        world.results(&path, "failedResults").await
    );
    let made = world.results(&path, "successfulResults").await;
    assert_eq!(
        made[0],
        [
            "sf__Id",
            "sf__Created",
            "NAME",
            "ExternalKey__c",
            "Phone",
            "Fax",
            "AnnualRevenue",
            "Owner.Username"
        ],
        "unknown columns are dropped without a word"
    );
    let id = value(&made, ("ExternalKey__c", "bulk-1"), "sf__Id");
    let read = async || {
        let soql = format!(
            "SELECT Name, Phone, Fax, AnnualRevenue, Owner.Username FROM Account WHERE Id = '{id}'"
        );
        world.query(&soql).await.1["records"][0].clone()
    };
    let record = read().await;
    assert_eq!(record["Name"], "One \"quoted\"\nline");
    assert_eq!(record["Owner"]["Username"], "second@crm-sandbox.example");
    assert_eq!(record["AnnualRevenue"], json!(1000.5));
    let update = json!({"operation": "update", "object": "Account"});
    let (_, job) = world
        .ingest(update, &format!("Id,Phone,Fax,Name\n{id},,#N/A,\n"))
        .await;
    assert_eq!(job["numberRecordsFailed"], 0);
    let changed = read().await;
    assert_eq!(
        (&changed["Phone"], &changed["Fax"]),
        (&json!("1"), &Value::Null)
    );
    assert_eq!(changed["Name"], record["Name"]);
    let upsert = json!({
        "operation": "upsert", "object": "Account", "externalIdFieldName": "externalkey__c",
    });
    let (path, job) = world
        .ingest(
            upsert,
            "ExternalKey__c,Name,Fax\nbulk-1,Renamed,9\nbulk-3,Three,\nbulk-3,Again,\n,No key,\n",
        )
        .await;
    assert_eq!(job["externalIdFieldName"], "ExternalKey__c");
    assert_eq!(
        (&job["numberRecordsProcessed"], &job["numberRecordsFailed"]),
        (&json!(4), &json!(2))
    );
    let done = world.results(&path, "successfulResults").await;
    assert_eq!(value(&done, ("Name", "Renamed"), "sf__Created"), "false");
    assert_eq!(value(&done, ("Name", "Renamed"), "sf__Id"), id);
    assert_eq!(value(&done, ("Name", "Three"), "sf__Created"), "true");
    let failed = world.results(&path, "failedResults").await;
    assert!(value(&failed, ("Name", "Again"), "sf__Error").starts_with("DUPLICATE_VALUE:"));
    assert!(value(&failed, ("Name", "No key"), "sf__Error").starts_with("MISSING_ARGUMENT:"));
    assert_eq!(read().await["Fax"], "9");
}

#[tokio::test]
async fn refused_rows_say_why_and_the_others_stand() {
    let world = world(Config::default()).await;
    let csv = "LastName,FirstName,Email,Birthdate,Score__c,AccountId,IsVip__c\n\
               Good,a,a@crm-sandbox.example,2001-02-03,1.5,,true\n\
               ,missing,,,,,\n\
               Bad email,b,nowhere,,,,\n\
               Bad date,c,,03.02.2001,,,\n\
               Bad number,d,,,many,,\n\
               Bad lookup,e,,,,0015x00000zzzzzAAA,\n\
               Refused by rule,f,,,,,\n\
               Bad flag,g,,,,,perhaps\n";
    let (path, job) = world.ingest(insert("Contact"), csv).await;
    assert_eq!(
        job["state"], "JobComplete",
        "refused rows do not fail a job"
    );
    assert_eq!(
        (&job["numberRecordsProcessed"], &job["numberRecordsFailed"]),
        (&json!(8), &json!(7))
    );
    let failed = world.results(&path, "failedResults").await;
    assert_eq!(failed[0][..3], ["sf__Id", "sf__Error", "LastName"]);
    let error = |first: &str| value(&failed, ("FirstName", first), "sf__Error").to_owned();
    assert_eq!(
        error("missing"),
        "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    );
    for (row, starts, field) in [
        ("b", "INVALID_EMAIL_ADDRESS:", ":Email --"),
        ("c", "INVALID_TYPE_ON_FIELD_IN_RECORD:", ":Birthdate --"),
        ("d", "INVALID_TYPE_ON_FIELD_IN_RECORD:", ":Score__c --"),
        ("f", "FIELD_CUSTOM_VALIDATION_EXCEPTION:", ":LastName --"),
        ("g", "INVALID_TYPE_ON_FIELD_IN_RECORD:", ":IsVip__c --"),
    ] {
        let error = error(row);
        assert!(
            error.starts_with(starts) && error.ends_with(field),
            "{error}"
        );
    }
    assert!(error("e").ends_with(" --"), "{}", error("e"));
    assert_eq!(world.results(&path, "successfulResults").await.len(), 2);
    let (_, found) = world
        .query("SELECT Score__c, IsVip__c, Birthdate FROM Contact WHERE LastName = 'Good'")
        .await;
    let record = &found["records"][0];
    assert_eq!(
        (&record["Score__c"], &record["IsVip__c"]),
        (&json!(1.5), &json!(true))
    );
    assert_eq!(record["Birthdate"], "2001-02-03");
}

#[tokio::test]
async fn delete_takes_ids_alone() {
    let world = world(Config::default()).await;
    let (path, _) = world.ingest(insert("Lead"), &leads(3)).await;
    let made = world.results(&path, "successfulResults").await;
    let ids = column(&made, "sf__Id");
    let before = count(&world, "Lead").await;
    let delete = json!({"operation": "delete", "object": "Lead"});
    let csv = format!("Id\n{}\n{}\nnonsense\n", ids[0], ids[1]);
    let (path, job) = world.ingest(delete.clone(), &csv).await;
    assert_eq!(
        (&job["numberRecordsProcessed"], &job["numberRecordsFailed"]),
        (&json!(3), &json!(1))
    );
    let done = world.results(&path, "successfulResults").await;
    assert_eq!(done[0], ["sf__Id", "sf__Created", "Id"]);
    assert_eq!(
        sorted(column(&done, "sf__Id")),
        sorted(vec![ids[0], ids[1]])
    );
    assert_eq!(count(&world, "Lead").await, before - 2);
    let (path, job) = world
        .ingest(delete, &format!("Id,LastName\n{},x\n", ids[2]))
        .await;
    assert_eq!(job["state"], "Failed");
    assert!(
        job["errorMessage"]
            .as_str()
            .unwrap()
            .contains("must contain only ids")
    );
    assert_eq!(
        world
            .fetch(Method::GET, &format!("{path}/unprocessedrecords"), None)
            .await
            .2,
        ""
    );
    assert_eq!(count(&world, "Lead").await, before - 2);
    world.bulk_settings(json!({"hard_delete": true})).await;
    let hard = json!({"operation": "hardDelete", "object": "Lead"});
    let (_, job) = world.ingest(hard, &format!("Id\n{}\n", ids[2])).await;
    assert_eq!(job["numberRecordsFailed"], 0);
    let soql = format!("SELECT COUNT() FROM Lead WHERE Id = '{}'", ids[2]);
    let all = World::query_path(&soql).replace("/query?", "/queryAll?");
    assert_eq!(
        world.get(&all).await.1["totalSize"],
        0,
        "not even in the recycle bin"
    );
}

#[tokio::test]
async fn dialects_are_those_of_the_job() {
    let world = world(Config::default()).await;
    let job = |delimiter: &str, ending: &str| {
        json!({
            "operation": "insert", "object": "Lead", "columnDelimiter": delimiter,
            "lineEnding": ending,
        })
    };
    let csv = "\u{feff}LastName;Company;Status\r\nUmlaut ä;\"a;b\r\nc\";Open - Not Contacted\r\n";
    let (path, done) = world.ingest(job("SEMICOLON", "CRLF"), csv).await;
    assert_eq!(done["numberRecordsFailed"], 0, "{done}");
    let (_, _, text) = world
        .fetch(Method::GET, &format!("{path}/successfulResults"), None)
        .await;
    assert!(text.starts_with("\"sf__Id\";\"sf__Created\";\"LastName\";\"Company\";\"Status\"\r\n"));
    assert!(text.contains("\"Umlaut ä\";\"a;b\r\nc\""), "{text}");
    for (ending, csv) in [
        ("LF", "LastName,Company\r\na,b\r\n"),
        ("CRLF", "LastName,Company\na,b\n"),
    ] {
        let (_, failed) = world.ingest(job("COMMA", ending), csv).await;
        assert_eq!(failed["state"], "Failed");
        assert_eq!(
            failed["errorMessage"],
            format!(
                "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {ending}"
            )
        );
    }
    for broken in ["LastName,Company\na\n", "\n", ""] {
        let (_, failed) = world.ingest(job("COMMA", "LF"), broken).await;
        assert_eq!(failed["state"], "Failed", "{broken:?}");
    }
    let (_, empty) = world.ingest(job("COMMA", "LF"), "LastName,Company\n").await;
    assert_eq!(
        (&empty["state"], &empty["numberRecordsProcessed"]),
        (&json!("JobComplete"), &json!(0))
    );
}

#[tokio::test]
async fn uploads_are_bounded_and_may_be_compressed() {
    let world = world(Config::default()).await;
    world.bulk_settings(json!({"upload_limit": 1_000})).await;
    let path = world.open_ingest(insert("Lead")).await;
    assert_eq!(
        world.upload(&path, leads(40)).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(leads(15).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let answer = world
        .client
        .put(format!("{}{path}/batches", world.sandbox.instance_url))
        .bearer_auth(&world.token)
        .header("Content-Type", "text/csv; charset=UTF-8")
        .header("Content-Encoding", "gzip")
        .body(packed)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    world.set(&path, "UploadComplete").await;
    assert_eq!(world.ended(&path).await["numberRecordsProcessed"], 15);
}

#[tokio::test]
async fn a_job_that_fails_on_the_way_keeps_what_it_wrote() {
    let world = world(Config::default()).await;
    let before = count(&world, "Lead").await;
    world.bulk_settings(json!({"fail_after": 250})).await;
    let (path, job) = world.ingest(insert("Lead"), &leads(600)).await;
    assert_eq!(
        (&job["state"], &job["numberRecordsProcessed"]),
        (&json!("Failed"), &json!(250))
    );
    assert!(job["errorMessage"].is_string());
    assert_eq!(count(&world, "Lead").await, before + 250);
    let done = world.results(&path, "successfulResults").await;
    let rest = world.results(&path, "unprocessedrecords").await;
    assert_eq!((done.len(), rest.len()), (251, 351));
    let names: HashSet<&str> = column(&done, "LastName")
        .into_iter()
        .chain(column(&rest, "LastName"))
        .collect();
    assert_eq!(names.len(), 600);
}

#[tokio::test]
async fn a_held_job_goes_on_or_is_aborted() {
    let world = world(Config::default()).await;
    let before = count(&world, "Lead").await;
    world
        .bulk_settings(json!({"hold_after": 400, "polls_until_done": 0}))
        .await;
    let path = world.closed_ingest(insert("Lead"), &leads(1_000)).await;
    for _ in 0..3 {
        let (_, job) = world.get(&path).await;
        assert_eq!(
            (&job["state"], &job["numberRecordsProcessed"]),
            (&json!("InProgress"), &json!(400))
        );
    }
    assert_eq!(
        count(&world, "Lead").await,
        before + 400,
        "what is done can be seen"
    );
    let (_, list) = world
        .get(&format!("{V}/jobs/ingest?jobState=InProgress,Open"))
        .await;
    assert_eq!(list["records"].as_array().unwrap().len(), 1);
    world.bulk_settings(json!({"hold_after": 600})).await;
    assert_eq!(world.get(&path).await.1["numberRecordsProcessed"], 600);
    let (status, _) = world.set(&path, "Aborted").await;
    assert_eq!(status, StatusCode::OK);
    world.bulk_settings(json!({"hold_after": null})).await;
    let (_, job) = world.get(&path).await;
    assert_eq!(
        (&job["state"], &job["numberRecordsProcessed"]),
        (&json!("Aborted"), &json!(600))
    );
    assert_eq!(
        count(&world, "Lead").await,
        before + 600,
        "no roll-back, no more"
    );
    assert_eq!(world.results(&path, "unprocessedrecords").await.len(), 401);
    world.bulk_settings(json!({"hold_after": 200})).await;
    let path = world.closed_ingest(insert("Lead"), &leads(500)).await;
    world.bulk_settings(json!({"hold_after": null})).await;
    assert_eq!(world.ended(&path).await["numberRecordsProcessed"], 500);
}

#[tokio::test]
async fn an_open_job_does_nothing_and_a_lost_answer_does_all() {
    let world = world(Config::default()).await;
    let before = count(&world, "Lead").await;
    world
        .fault(json!({"path": "/batches", "kind": "lose_reply"}))
        .await;
    let path = world.open_ingest(insert("Lead")).await;
    let url = format!("{}{path}/batches", world.sandbox.instance_url);
    let put = world.client.put(url).bearer_auth(&world.token);
    let lost = put
        .header("Content-Type", "text/csv")
        .body(leads(5))
        .send()
        .await;
    assert!(lost.is_err());
    assert_eq!(
        world.upload(&path, leads(5)).await,
        StatusCode::BAD_REQUEST,
        "it had arrived"
    );
    assert_eq!(count(&world, "Lead").await, before);
    world.set(&path, "Aborted").await;
    assert_eq!(world.results(&path, "unprocessedrecords").await.len(), 6);
    let path = world.open_ingest(insert("Lead")).await;
    world.upload(&path, leads(5)).await;
    world
        .fault(json!({"path": "/jobs/ingest", "method": "PATCH", "kind": "lose_reply"}))
        .await;
    let closed = json!({"state": "UploadComplete"});
    assert!(
        world
            .send(Method::PATCH, &path, Some(closed))
            .await
            .is_err()
    );
    assert_eq!(world.ended(&path).await["state"], "JobComplete");
    assert_eq!(count(&world, "Lead").await, before + 5);
}

#[tokio::test]
async fn query_jobs_see_what_was_written_before_them_and_nothing_later() {
    let world = world(Config::default()).await;
    let query = || json!({"operation": "query", "query": "SELECT Id, LastName FROM Lead"});
    let (early, first) = world.finished_query(query()).await;
    world.ingest(insert("Lead"), &leads(3)).await;
    let (late, second) = world.finished_query(query()).await;
    let number = |job: &Value| job["numberRecordsProcessed"].as_u64().unwrap();
    assert_eq!(number(&second), number(&first) + 3);
    let rows = async |path: &str| world.results(path, "results").await.len() as u64 - 1;
    assert_eq!(
        (rows(&early).await, rows(&late).await),
        (number(&first), number(&second))
    );
}

#[tokio::test]
async fn values_of_every_kind_arrive_and_parents_of_several_objects() {
    let world = world(Config::default()).await;
    let account = "Name,ExternalKey__c\nParent,parent-1\n";
    world.ingest(insert("Account"), account).await;
    let csv = "Name,ExternalId__c,Related__r:Account.ExternalKey__c,Check__c,Int__c,Precise__c,Date__c,DateTime__c,Time__c,Multi__c,LongText__c\n\
               Kinds,kinds-1,parent-1,1,-7,123456789012345678.123456789,2024-02-29,2024-01-31T23:59:59.001+02:00,14:30:00.000Z,A;C,\"quote \"\" comma , null NA\"\n\
               No parent,kinds-2,parent-9,,,,,,,,\n";
    let (path, job) = world.ingest(insert("AllTypes__c"), csv).await;
    let failed = world.results(&path, "failedResults").await;
    assert_eq!(job["numberRecordsFailed"], 1, "{failed:?}");
    assert!(
        failed[1][1].contains("Foreign key external ID: parent-9"),
        "{failed:?}"
    );
    let columns = "Related__r.Name, Check__c, Int__c, Precise__c, Date__c, DateTime__c, Time__c, Multi__c, LongText__c";
    let soql = format!("SELECT {columns} FROM AllTypes__c WHERE ExternalId__c = 'kinds-1'");
    let (path, _) = world
        .finished_query(json!({"operation": "query", "query": soql}))
        .await;
    let table = world.results(&path, "results").await;
    assert_eq!(
        table[1],
        [
            "Parent",
            "true",
            "-7",
            "123456789012345678.123456789",
            "2024-02-29",
            "2024-01-31T21:59:59.001Z",
            "14:30:00.000Z",
            "A;C",
            "quote \" comma , null NA"
        ]
    );
}
