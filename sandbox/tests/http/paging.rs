//! Pages, locators, batch sizes, retrieval by id, composite calls and the caps on a request.

use std::collections::HashSet;

use crate::common::{V, World, code, world};
use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Ids of all pages, with the length of each page.
async fn pages(world: &World, soql: &str, batch: Option<&str>) -> (Vec<String>, Vec<usize>) {
    let mut path = World::query_path(soql);
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let url = format!("{}{path}", world.sandbox.instance_url);
        let mut call = world.client.get(url).bearer_auth(&world.token);
        if let Some(batch) = batch {
            call = call.header("Sforce-Query-Options", format!("batchSize={batch}"));
        }
        let page: Value = call.send().await.unwrap().json().await.unwrap();
        let records = page["records"].as_array().unwrap();
        lengths.push(records.len());
        ids.extend(records.iter().map(|r| r["Id"].as_str().unwrap().to_owned()));
        if page["done"] == true {
            assert!(page.get("nextRecordsUrl").is_none());
            assert_eq!(page["totalSize"], ids.len());
            return (ids, lengths);
        }
        path = page["nextRecordsUrl"].as_str().unwrap().to_owned();
        assert!(path.contains("/query/01g"), "{path}");
    }
}

#[tokio::test]
async fn every_record_comes_once_whatever_the_page_size() {
    let world = world(Config {
        contacts: 4_000,
        ..Config::default()
    })
    .await;
    let (all, lengths) = pages(&world, "SELECT Id FROM Contact", None).await;
    assert_eq!(lengths[..2], [2_000, 2_000]);
    let distinct: HashSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    let (same, lengths) = pages(&world, "SELECT Id FROM Contact", Some("500")).await;
    assert!(lengths[..lengths.len() - 1].iter().all(|n| *n == 500));
    assert_eq!(same, all);
    let (_, lengths) = pages(&world, "SELECT Id FROM Contact", Some("50")).await;
    assert_eq!(lengths[0], 200, "less than 200 is 200");
    let (filtered, _) = pages(
        &world,
        "SELECT Id FROM Contact WHERE Id != null",
        Some("300"),
    )
    .await;
    assert_eq!(filtered, all);
    let (limited, lengths) = pages(&world, "SELECT Id FROM Contact LIMIT 2001", None).await;
    assert_eq!(
        (limited.as_slice(), lengths.as_slice()),
        (&all[..2_001], &[2_000, 1][..])
    );
}

#[tokio::test]
async fn two_long_texts_make_short_pages() {
    let world = world(Config::default()).await;
    let soql = "SELECT Id, Description, ns__Description__c FROM Account";
    let (_, lengths) = pages(&world, soql, None).await;
    assert_eq!(lengths[0], 200);
}

#[tokio::test]
async fn a_page_cap_holds_for_every_page() {
    let world = world(Config {
        page_cap: Some(7),
        ..Config::default()
    })
    .await;
    let (ids, lengths) = pages(&world, "SELECT Id FROM AllTypes__c", None).await;
    assert_eq!(ids.len(), 58);
    assert!(lengths.iter().all(|n| *n <= 7));
}

#[tokio::test]
async fn a_locator_can_be_read_again_by_its_user_only() {
    let mut world = world(Config {
        page_cap: Some(10),
        ..Config::default()
    })
    .await;
    let (_, first) = world
        .query("SELECT Id FROM AllTypes__c WHERE Name != null")
        .await;
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    let (_, page) = world.get(&next).await;
    assert_eq!(world.get(&next).await.1, page);
    let username = world.sandbox.credentials.username.clone();
    let second = world.sandbox.credentials.second_username.clone();
    let (_, again) = world.sign_in(&username).await;
    world.token = again["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        world.get(&next).await.1,
        page,
        "a new session of the same user"
    );
    for path in [
        next.replace("v66.0", "v65.0"),
        next.replace("01g", "01h"),
        format!("{V}/query/01g5x0000000001AAA-999999"),
        format!("{V}/query/nonsense"),
    ] {
        let (status, answer) = world.get(&path).await;
        assert_eq!(
            (status.as_u16(), code(&answer)),
            (400, "INVALID_QUERY_LOCATOR"),
            "{path}"
        );
    }
    let (_, other) = world.sign_in(&second).await;
    world.token = other["access_token"].as_str().unwrap().to_owned();
    let (status, answer) = world.get(&next).await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (400, "INVALID_QUERY_LOCATOR")
    );
}

#[tokio::test]
async fn numbers_travel_digit_for_digit() {
    let world = world(Config::default()).await;
    let path = World::query_path(
        "SELECT Name, Number__c, Precise__c, Long__c FROM AllTypes__c ORDER BY Id",
    );
    let text = world
        .send(Method::GET, &path, None)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for digits in [
        "\"Number__c\":300.0,",
        "\"Number__c\":400,",
        "\"Number__c\":20000.00,",
        "\"Number__c\":1.0E7,",
        "\"Precise__c\":12345678901234567890.123456789,",
        "\"Long__c\":9223372036854775807}",
    ] {
        assert!(text.contains(digits), "{digits}");
    }
}

#[tokio::test]
async fn retrieval_keeps_the_order_of_the_ids() {
    let world = world(Config {
        contacts: 10,
        ..Config::default()
    })
    .await;
    let (_, page) = world
        .query("SELECT Id, Name FROM Contact ORDER BY Id DESC LIMIT 3")
        .await;
    let id = |n: usize| page["records"][n]["Id"].as_str().unwrap();
    let path = format!("{V}/composite/sobjects/Contact");
    let ids = json!([
        id(2),
        "0035x00000zzzzzAAA",
        id(0),
        "nonsense",
        &id(1)[..15],
        "0015x0000000001AAA"
    ]);
    let (status, list) = world
        .post(&path, json!({"ids": ids, "fields": ["id", "Name"]}))
        .await;
    assert_eq!(status, StatusCode::OK);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 6);
    assert_eq!(list[0]["Name"], page["records"][2]["Name"]);
    assert_eq!(list[2]["Id"], id(0));
    assert_eq!(list[4]["Id"], id(1));
    assert!(list[1].is_null() && list[3].is_null() && list[5].is_null());
    let (_, same) = world
        .get(&format!("{path}?ids={},{}&fields=Name", id(0), id(1)))
        .await;
    assert_eq!(same.as_array().unwrap().len(), 2);
    let many: Vec<&str> = vec![id(0); 2_001];
    let (status, answer) = world
        .post(&path, json!({"ids": many, "fields": ["Id"]}))
        .await;
    assert_eq!((status.as_u16(), code(&answer)), (400, "EXCEEDED_ID_LIMIT"));
    let (status, answer) = world
        .post(&path, json!({"ids": [id(0)], "fields": ["Nope"]}))
        .await;
    assert_eq!((status.as_u16(), code(&answer)), (400, "INVALID_FIELD"));
    let (_, one) = world
        .get(&format!("{V}/sobjects/Contact/{}?fields=Name,Email", id(0)))
        .await;
    assert_eq!(one["Name"], page["records"][0]["Name"]);
    assert!(one.get("Email").is_some() && one.get("LastName").is_none());
}

#[tokio::test]
async fn a_deleted_record_cannot_be_retrieved() {
    let world = world(Config::default()).await;
    let path = World::query_path("SELECT Id FROM AllTypes__c WHERE IsDeleted = TRUE");
    let (_, bin) = world.get(&path.replace("/query?", "/queryAll?")).await;
    let id = bin["records"][0]["Id"].as_str().unwrap().to_owned();
    let (_, list) = world
        .post(
            &format!("{V}/composite/sobjects/AllTypes__c"),
            json!({"ids": [id], "fields": ["Id"]}),
        )
        .await;
    assert_eq!(list, json!([null]));
    let (status, _) = world.get(&format!("{V}/sobjects/AllTypes__c/{id}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_query_too_long_for_the_address_fits_into_a_composite() {
    let world = world(Config::default()).await;
    let (_, described) = world.get(&format!("{V}/sobjects/Wide__c/describe")).await;
    let names: Vec<&str> = described["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    let soql = format!("SELECT {} FROM Wide__c", names.join(","));
    let path = World::query_path(&soql);
    let refused = world.send(Method::GET, &path, None).await.unwrap();
    assert_eq!(refused.status(), StatusCode::URI_TOO_LONG);
    assert!(serde_json::from_str::<Value>(&refused.text().await.unwrap()).is_err());
    let part = json!({"method": "GET", "url": path, "referenceId": "wide"});
    let (status, answer) = world
        .post(
            &format!("{V}/composite"),
            json!({"compositeRequest": [part]}),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    let inner = &answer["compositeResponse"][0];
    assert_eq!(
        (
            inner["httpStatusCode"].as_u64(),
            inner["referenceId"].as_str()
        ),
        (Some(200), Some("wide"))
    );
    assert_eq!(
        inner["body"]["records"][0].as_object().unwrap().len(),
        names.len() + 1
    );
}

#[tokio::test]
async fn headers_count_towards_the_cap() {
    let world = world(Config::default()).await;
    let url = format!("{}{V}/limits", world.sandbox.instance_url);
    let answer = world
        .client
        .get(url)
        .bearer_auth(&world.token)
        .header("X-Long", "x".repeat(16_350))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 431);
}

#[tokio::test]
async fn composite_calls_count_once_and_hold_their_limits() {
    let world = world(Config::default()).await;
    let query = |n: usize| json!({"method": "GET", "url": format!("{V}/query?q=SELECT+COUNT()+FROM+Account"), "referenceId": format!("r{n}")});
    let (_, five) = world
        .post(
            &format!("{V}/composite"),
            json!({"compositeRequest": (0..5).map(query).collect::<Vec<_>>()}),
        )
        .await;
    assert_eq!(five["compositeResponse"].as_array().unwrap().len(), 5);
    let (status, _) = world
        .post(
            &format!("{V}/composite"),
            json!({"compositeRequest": (0..6).map(query).collect::<Vec<_>>()}),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let chain = json!({"compositeRequest": [
        {"method": "GET", "url": format!("{V}/query?q=SELECT+Id+FROM+Account+LIMIT+1"), "referenceId": "a"},
        {"method": "GET", "url": format!("{V}/sobjects/Account/@{{a.records[0].Id}}?fields=Name"), "referenceId": "b"},
        {"method": "GET", "url": format!("{V}/sobjects/Nope/describe"), "referenceId": "c"},
    ]});
    let (_, chained) = world.post(&format!("{V}/composite"), chain).await;
    let parts = chained["compositeResponse"].as_array().unwrap();
    assert!(parts[1]["body"]["Name"].is_string());
    assert_eq!(parts[2]["httpStatusCode"], 404);
    let batch = json!({"haltOnError": true, "batchRequests": [
        {"method": "GET", "url": "v66.0/limits"},
        {"method": "GET", "url": "v66.0/sobjects/Nope/describe"},
        {"method": "GET", "url": "v66.0/limits"},
    ]});
    let (_, batch) = world.post(&format!("{V}/composite/batch"), batch).await;
    let statuses: Vec<u64> = batch["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["statusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (batch["hasErrors"].as_bool(), statuses),
        (Some(true), vec![200, 404, 412])
    );
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(report["calls"]["composite"], 4);
    assert_eq!(report["data_calls"], 4);
    assert_eq!(report["calls"]["query"], 0);
}

#[tokio::test]
async fn metadata_is_conditional_and_the_allotment_is_real() {
    let world = world(Config::default()).await;
    let path = format!("{V}/sobjects/Account/describe");
    let answer = world.send(Method::GET, &path, None).await.unwrap();
    let modified = answer.headers()["last-modified"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(answer.headers()["sforce-limit-info"], "api-usage=1/100000");
    let url = format!("{}{path}", world.sandbox.instance_url);
    for (since, status) in [
        (modified.as_str(), 304),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ] {
        let answer = world
            .client
            .get(&url)
            .bearer_auth(&world.token)
            .header("If-Modified-Since", since)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.bytes().await.unwrap().is_empty(), status == 304);
    }
    let (_, limits) = world.get(&format!("{V}/limits")).await;
    assert_eq!(
        limits["DailyApiRequests"],
        json!({"Max": 100_000, "Remaining": 99_996})
    );
    world
        .admin(
            Method::POST,
            "/limits",
            Some(json!({"used": 10, "max": 10})),
        )
        .await;
    let (status, answer) = world.get(&format!("{V}/limits")).await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (403, "REQUEST_LIMIT_EXCEEDED")
    );
    let (status, _) = world.get("/services/data").await;
    assert_eq!(status, StatusCode::OK, "the version list is free");
    world.admin(Method::POST, "/reset", None).await;
    let (status, answer) = world.get("/services/data/v25.0/sobjects").await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (410, "UNSUPPORTED_API_VERSION")
    );
    let (status, answer) = world.get(&format!("{V}/sobjects/Nope/describe")).await;
    assert_eq!((status.as_u16(), code(&answer)), (404, "NOT_FOUND"));
    let (_, counts) = world
        .get(&format!("{V}/limits/recordCount?sObjects=AllTypes__c,Nope"))
        .await;
    assert_eq!(
        counts,
        json!({"sObjects": [{"count": 58, "name": "AllTypes__c"}]})
    );
}

#[tokio::test]
async fn every_listed_object_can_be_described_and_its_columns_queried() {
    let world = world(Config::default()).await;
    let (_, global) = world.get(&format!("{V}/sobjects")).await;
    let mut types = HashSet::new();
    for object in global["sobjects"].as_array().unwrap() {
        let path = object["urls"]["describe"].as_str().unwrap();
        assert!(path.starts_with(V), "{path}");
        let (status, described) = world.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let fields = described["fields"].as_array().unwrap();
        types.extend(
            fields
                .iter()
                .map(|f| f["type"].as_str().unwrap().to_owned()),
        );
        assert_eq!(described["keyPrefix"], object["keyPrefix"], "{path}");
        if object["queryable"] != true || object["name"] == "Wide__c" {
            continue;
        }
        let names: Vec<&str> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
        let filter = match object["name"].as_str().unwrap() {
            "Vote" | "UserFieldAccess" => " WHERE Id != null",
            _ => "",
        };
        let soql = format!(
            "SELECT {} FROM {}{filter} LIMIT 3",
            names.join(","),
            object["name"].as_str().unwrap()
        );
        let (status, page) = world.query(&soql).await;
        assert_eq!(status, StatusCode::OK, "{soql}: {page}");
    }
    for wanted in [
        "id",
        "reference",
        "string",
        "textarea",
        "phone",
        "email",
        "url",
        "picklist",
        "multipicklist",
        "combobox",
        "boolean",
        "int",
        "long",
        "double",
        "currency",
        "percent",
        "date",
        "datetime",
        "time",
        "base64",
        "address",
        "location",
        "anyType",
        "encryptedstring",
        "complexvalue",
        "datacategorygroupreference",
        "masterrecord",
        "json",
        "hologram",
    ] {
        assert!(types.contains(wanted), "{wanted}");
    }
}

#[tokio::test]
async fn compressed_pages_hold_the_same() {
    let world = world(Config {
        gzip: true,
        ..Config::default()
    })
    .await;
    let path = World::query_path("SELECT Id, Name FROM Account");
    let plain = world.send(Method::GET, &path, None).await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.bytes().await.unwrap();
    let url = format!("{}{path}", world.sandbox.instance_url);
    let packed = world
        .client
        .get(url)
        .bearer_auth(&world.token)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 2 < plain.len());
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&packed[..]),
        &mut unpacked,
    )
    .unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn pages_rendered_ahead_are_the_ones_a_client_reads() {
    let world = world(Config {
        contacts: 5_000,
        ..Config::default()
    })
    .await;
    let columns = ["Name", "Email", "Phone", "Title", "Score__c", "Visits__c"];
    let soql = |column: &str| format!("SELECT Id, {column} FROM Contact");
    let order = json!({"soql": soql("Name")});
    let made = world.admin(Method::POST, "/prerender", Some(order)).await;
    let (ids, lengths) = pages(&world, &soql("Name"), None).await;
    assert_eq!(made["pages"], lengths.len());
    let (_, first) = world.query(&soql("Name")).await;
    let next = first["nextRecordsUrl"].as_str().unwrap();
    let (_, second) = world.get(next).await;
    for column in &columns[1..] {
        let (same, _) = pages(&world, &soql(column), None).await;
        assert_eq!(same, ids);
    }
    let (status, again) = world.get(next).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "a locator outlives the pages kept for it"
    );
    assert_eq!(again, second);
    let filtered = json!({"soql": "SELECT Id FROM Contact WHERE Name != null"});
    let url = format!("{}/prerender", world.sandbox.admin_url);
    let refused = world.client.post(url).json(&filtered).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}
