//! Up to 200 records in one call, and calls made of calls: order, limits, all or none, references.

use crate::common::{V, World, code, world};
use crm_sandbox::Config;
use reqwest::Method;
use serde_json::{Value, json};

fn contact(fields: Value) -> Value {
    let mut record = json!({"attributes": {"type": "Contact"}});
    for (name, value) in fields.as_object().expect("fields") {
        record[name] = value.clone();
    }
    record
}

/// `ok` or the code of each entry, in order.
fn codes(answer: &Value) -> Vec<&str> {
    let entries = answer.as_array().expect("an entry for each record");
    entries
        .iter()
        .map(|entry| match entry["success"].as_bool() {
            Some(true) => "ok",
            _ => entry["errors"][0]["statusCode"].as_str().expect("a code"),
        })
        .collect()
}

async fn create(world: &World, records: Value, all_or_none: bool) -> (u16, Value) {
    let body = json!({"allOrNone": all_or_none, "records": records});
    world
        .api(Method::POST, "/composite/sobjects", Some(body))
        .await
}

#[tokio::test]
async fn each_record_has_its_own_result_in_order() {
    let world = world(Config::default()).await;
    let before = world.count("Contact").await;
    let records = json!([
        contact(json!({"LastName": "One", "ExternalKey__c": "k1"})),
        contact(json!({"FirstName": "No last name"})),
        contact(json!({"LastName": "Three", "ExternalKey__c": "K1"})),
        {"attributes": {"type": "Account"}, "Name": "Four"},
        contact(json!({"LastName": "Five", "id": "0035x00000000001AAA"})),
    ]);
    let (status, answer) = create(&world, records, false).await;
    assert_eq!(status, 200);
    assert_eq!(
        codes(&answer),
        [
            "ok",
            "REQUIRED_FIELD_MISSING",
            "DUPLICATE_VALUE",
            "ok",
            "INVALID_FIELD_FOR_INSERT_UPDATE"
        ]
    );
    assert_eq!(&answer[3]["id"].as_str().unwrap()[..3], "001");
    assert!(answer[1].get("id").is_none() && answer[0].get("created").is_none());
    assert_eq!(answer[1]["errors"][0]["fields"], json!(["LastName"]));
    assert_eq!(world.count("Contact").await, before + 1);

    let one = answer[0]["id"].as_str().unwrap();
    let account = answer[3]["id"].as_str().unwrap();
    let body = json!({"records": [
        contact(json!({"id": one, "Title": "first"})),
        contact(json!({"Id": &one[..15], "Title": "second"})),
        contact(json!({"id": "0035x00000zzzzz", "Title": "x"})),
        contact(json!({"id": "zzz", "Title": "x"})),
        contact(json!({"Title": "x"})),
        {"attributes": {"type": "Account"}, "id": account, "Name": "Changed"},
        contact(json!({"id": account, "Title": "x"})),
    ]});
    let (_, answer) = world
        .api(Method::PATCH, "/composite/sobjects", Some(body))
        .await;
    assert_eq!(
        codes(&answer),
        [
            "ok",
            "DUPLICATE_VALUE",
            "INVALID_CROSS_REFERENCE_KEY",
            "MALFORMED_ID",
            "MISSING_ARGUMENT",
            "ok",
            "INVALID_CROSS_REFERENCE_KEY"
        ]
    );
    let record = world.fields("Contact", one, "Title").await;
    assert_eq!(record["Title"], "first");

    let ids = format!("{one},{account},{one},0035x00000zzzzz,bad");
    let path = format!("/composite/sobjects?ids={ids}&allOrNone=false");
    let (status, answer) = world.api(Method::DELETE, &path, None).await;
    assert_eq!(status, 200);
    assert_eq!(
        codes(&answer),
        [
            "ok",
            "ok",
            "DUPLICATE_VALUE",
            "INVALID_CROSS_REFERENCE_KEY",
            "MALFORMED_ID"
        ]
    );
    let (_, answer) = world.api(Method::DELETE, &path, None).await;
    assert_eq!(
        codes(&answer)[..2],
        ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED"]
    );
    let report = world.admin(Method::GET, "/requests", None).await;
    let calls = &report["calls"];
    assert_eq!(
        (
            &calls["collection_create"],
            &calls["collection_update"],
            &calls["collection_delete"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(
        report["writes"],
        json!({"created": 2, "updated": 2, "deleted": 2, "upserted": 0})
    );
}

#[tokio::test]
async fn all_or_none_leaves_nothing_behind() {
    let world = world(Config {
        contacts: 10,
        ..Config::default()
    })
    .await;
    let before = world.count("Contact").await;
    let records = json!([
        contact(json!({"LastName": "Kept out", "ExternalKey__c": "all"})),
        contact(json!({"LastName": "Refused"})),
    ]);
    let (status, answer) = create(&world, records, true).await;
    assert_eq!(status, 200);
    assert_eq!(
        codes(&answer),
        [
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        ]
    );
    assert_eq!(world.count("Contact").await, before);
    // Nothing of it is left: neither key nor id.
    let records = json!([contact(json!({"LastName": "In", "ExternalKey__c": "all"}))]);
    let (_, answer) = create(&world, records, true).await;
    assert_eq!(codes(&answer), ["ok"]);
    let id = answer[0]["id"].as_str().unwrap();

    let (_, generated) = world
        .query("SELECT Id, Title FROM Contact WHERE ExternalKey__c = 'contact-0000003'")
        .await;
    let generated = &generated["records"][0];
    let body = json!({"allOrNone": true, "records": [
        contact(json!({"id": id, "LastName": "Changed"})),
        contact(json!({"id": generated["Id"], "Title": "Changed"})),
        contact(json!({"id": id, "LastName": "again"})),
    ]});
    let (_, answer) = world
        .api(Method::PATCH, "/composite/sobjects", Some(body))
        .await;
    assert_eq!(codes(&answer)[2], "DUPLICATE_VALUE");
    assert_eq!(
        world.fields("Contact", id, "LastName").await["LastName"],
        "In"
    );
    let known = generated["Id"].as_str().unwrap();
    assert_eq!(
        world.fields("Contact", known, "Title").await["Title"],
        generated["Title"]
    );
    let path = format!("/composite/sobjects?ids={id},0035x00000zzzzz&allOrNone=true");
    let (_, answer) = world.api(Method::DELETE, &path, None).await;
    assert_eq!(codes(&answer)[0], "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    assert_eq!(world.count(&format!("Contact WHERE Id = '{id}'")).await, 1);
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(
        report["writes"],
        json!({"created": 1, "updated": 0, "deleted": 0, "upserted": 0})
    );
}

#[tokio::test]
async fn upserts_say_what_they_created() {
    let world = world(Config::default()).await;
    let path = "/composite/sobjects/Contact/ExternalKey__c";
    let records = |title: &str| {
        json!({"records": [
            contact(json!({"ExternalKey__c": "u1", "LastName": "a", "Title": title})),
            contact(json!({"ExternalKey__c": "u2", "LastName": "b", "Title": title})),
            contact(json!({"ExternalKey__c": "U1", "LastName": "c", "Title": title})),
            contact(json!({"LastName": "d"})),
        ]})
    };
    for created in [true, false] {
        let (status, answer) = world.api(Method::PATCH, path, Some(records("x"))).await;
        assert_eq!(status, 200);
        assert_eq!(
            codes(&answer),
            ["ok", "ok", "DUPLICATE_VALUE", "MISSING_ARGUMENT"]
        );
        assert_eq!(answer[0]["created"], created);
        assert!(answer[2].get("created").is_none());
    }
    assert_eq!(world.count("Contact WHERE Title = 'x'").await, 2);
    for path in [
        "/composite/sobjects/Contact/Title",
        "/composite/sobjects/Nope/ExternalKey__c",
    ] {
        let (status, answer) = world.api(Method::PATCH, path, Some(records("x"))).await;
        assert_eq!((status, code(&answer)), (404, "NOT_FOUND"));
    }
    for _ in 0..2 {
        world
            .create("AllTypes__c", json!({"BatchKey__c": "b"}))
            .await;
    }
    let (_, answer) = world
        .api(
            Method::PATCH,
            "/composite/sobjects/AllTypes__c/BatchKey__c",
            Some(json!({"records": [{"attributes": {"type": "AllTypes__c"}, "BatchKey__c": "b"}]})),
        )
        .await;
    assert_eq!(codes(&answer), ["DUPLICATE_EXTERNAL_ID"]);
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(report["calls"]["collection_upsert"], 5);
    assert_eq!(report["writes"]["upserted"], 4);
}

#[tokio::test]
async fn a_call_has_limits() {
    let world = world(Config::default()).await;
    let many = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|n| contact(json!({"LastName": format!("Many {n}")})))
            .collect()
    };
    let (status, answer) = create(&world, json!(many(201)), false).await;
    assert_eq!((status, code(&answer)), (400, "EXCEEDED_ID_LIMIT"));
    let (status, answer) = create(&world, json!(many(200)), false).await;
    assert_eq!((status, answer.as_array().unwrap().len()), (200, 200));
    let mixed: Vec<Value> = (0..11)
        .map(|n| match n % 2 {
            0 => contact(json!({"LastName": "Mixed"})),
            _ => json!({"attributes": {"type": "Account"}, "Name": "Mixed"}),
        })
        .collect();
    let (status, answer) = create(&world, json!(mixed), false).await;
    assert_eq!((status, code(&answer)), (400, "LIMIT_EXCEEDED"));
    let (status, _) = create(&world, json!(mixed[..10]), false).await;
    assert_eq!(status, 200);
    for (object, fields, expected) in [
        (
            "Organization",
            json!({"Name": "x"}),
            "INVALID_TYPE_FOR_OPERATION",
        ),
        ("Lead", json!({"LastName": "x"}), "REQUIRED_FIELD_MISSING"),
        (
            "Lead",
            json!({"Name": "x"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
        ),
    ] {
        let mut record = fields;
        record["attributes"] = json!({"type": object});
        let (_, answer) = create(&world, json!([record]), false).await;
        assert_eq!(codes(&answer), [expected], "{object}");
    }
    let lead =
        json!({"LastName": "L", "FirstName": "F", "Company": "C", "Status": "Working - Contacted"});
    let id = world.create("Lead", lead).await;
    assert_eq!(world.fields("Lead", &id, "Name").await["Name"], "F L");
    for (records, expected) in [
        (json!([]), "REQUIRED_FIELD_MISSING"),
        (json!([{"LastName": "x"}]), "INVALID_INPUT"),
        (json!([{"attributes": {"type": "Nope"}}]), "INVALID_TYPE"),
        (json!("x"), "JSON_PARSER_ERROR"),
    ] {
        let (status, answer) = create(&world, records, false).await;
        assert_eq!((status, code(&answer)), (400, expected));
    }
    let ids = vec!["0035x00000zzzzz"; 201].join(",");
    let path = format!("/composite/sobjects?ids={ids}");
    let (status, answer) = world.api(Method::DELETE, &path, None).await;
    assert_eq!((status, code(&answer)), (400, "EXCEEDED_ID_LIMIT"));
    let (status, _) = world.api(Method::DELETE, "/composite/sobjects", None).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn record_errors_come_on_demand() {
    let world = world(Config::default()).await;
    world
        .admin(
            Method::POST,
            "/record_rules",
            Some(json!([
                {"object": "Contact", "field": "LastName", "value": "Locked", "code": "UNABLE_TO_LOCK_ROW", "times": 2},
                {"object": "Contact", "field": "LastName", "value": "Twin", "code": "DUPLICATES_DETECTED", "times": 0},
            ])),
        )
        .await;
    let records = json!([
        contact(json!({"LastName": "Locked"})),
        contact(json!({"LastName": "Free"})),
        contact(json!({"LastName": "Twin"})),
    ]);
    let first = create(&world, records.clone(), false).await.1;
    assert_eq!(
        codes(&first),
        ["UNABLE_TO_LOCK_ROW", "ok", "DUPLICATES_DETECTED"]
    );
    let (status, answer) = world
        .api(
            Method::POST,
            "/sobjects/Contact",
            Some(json!({"LastName": "Locked"})),
        )
        .await;
    assert_eq!((status, code(&answer)), (400, "UNABLE_TO_LOCK_ROW"));
    let third = create(&world, records.clone(), false).await.1;
    assert_eq!(codes(&third), ["ok", "ok", "DUPLICATES_DETECTED"]);
    // A duplicate that the caller lets through is saved.
    let answer = world
        .client
        .post(format!(
            "{}{V}/composite/sobjects",
            world.sandbox.instance_url
        ))
        .bearer_auth(&world.token)
        .header(
            "sforce-duplicate-rule-header",
            "allowSave=true; runAsCurrentUser=true",
        )
        .header("sforce-auto-assign", "FALSE")
        .json(&json!({"records": records}))
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(codes(&answer), ["ok", "ok", "ok"]);
    let left = world.admin(Method::GET, "/record_rules", None).await;
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_composite_call_refers_to_what_it_made() {
    let world = world(Config::default()).await;
    let accounts = world.count("Account").await;
    let part = |method: &str, url: &str, reference: &str, body: Value| json!({"method": method, "url": format!("{V}{url}"), "referenceId": reference, "body": body});
    let call = |last: Value, all_or_none: bool| {
        json!({"allOrNone": all_or_none, "compositeRequest": [
            part("POST", "/sobjects/Account", "a", json!({"Name": "Parent \"quoted\""})),
            part("POST", "/sobjects/Contact", "c", json!({"LastName": "Child", "AccountId": "@{a.id}"})),
            part("PATCH", "/sobjects/Account/@{a.id}", "p", json!({"Site": "of @{c.id}"})),
            part("POST", "/composite/sobjects", "many", json!({"records": [
                {"attributes": {"type": "Contact"}, "LastName": "Second", "AccountId": "@{a.id}"}
            ]})),
            last,
        ]})
    };
    let bad = part(
        "POST",
        "/sobjects/Contact",
        "last",
        json!({"Title": "no name"}),
    );
    let (_, answer) = world
        .api(Method::POST, "/composite", Some(call(bad.clone(), true)))
        .await;
    let parts = &answer["compositeResponse"];
    assert_eq!(parts[0]["httpStatusCode"], 400);
    assert_eq!(parts[0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(parts[4]["body"][0]["errorCode"], "REQUIRED_FIELD_MISSING");
    assert_eq!(world.count("Account").await, accounts);
    assert_eq!(world.count("Contact WHERE LastName = 'Child'").await, 0);

    let (_, answer) = world
        .api(Method::POST, "/composite", Some(call(bad, false)))
        .await;
    let parts = &answer["compositeResponse"];
    let statuses: Vec<u64> = (0..5)
        .map(|at| parts[at]["httpStatusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 201, 204, 200, 400]);
    let account = parts[0]["body"]["id"].as_str().unwrap();
    assert!(
        parts[0]["httpHeaders"]["Location"]
            .as_str()
            .unwrap()
            .ends_with(account)
    );
    let record = world.fields("Account", account, "Site").await;
    assert_eq!(
        record["Site"],
        format!("of {}", parts[1]["body"]["id"].as_str().unwrap())
    );
    assert_eq!(
        world
            .count(&format!("Contact WHERE AccountId = '{account}'"))
            .await,
        2
    );

    let (_, answer) = world
        .api(
            Method::POST,
            "/composite/batch",
            Some(json!({"batchRequests": [
                {"method": "PATCH", "url": format!("v66.0/sobjects/Account/{account}"), "richInput": {"Site": "batch"}},
                {"method": "DELETE", "url": format!("v66.0/sobjects/Account/{account}")},
                {"method": "POST", "url": "v66.0/sobjects/Account", "richInput": {}},
            ]})),
        )
        .await;
    let statuses: Vec<u64> = (0..3)
        .map(|at| answer["results"][at]["statusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (statuses.as_slice(), &answer["hasErrors"]),
        ([204, 204, 400].as_slice(), &json!(true))
    );
}
