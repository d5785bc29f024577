//! Single records and collections: what is accepted, what is refused with which code, and that a query
//! sees it afterwards.

use crate::common::{V, World, code, world};
use crm_sandbox::Config;
use reqwest::Method;
use serde_json::{Value, json};

impl World {
    /// Any call below the version; an answer without a body is null.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self
            .send(method, &format!("{V}{path}"), body)
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Creates a record that must be accepted.
    pub async fn create(&self, object: &str, fields: Value) -> String {
        let (status, answer) = self
            .api(Method::POST, &format!("/sobjects/{object}"), Some(fields))
            .await;
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// Single values of one record.
    pub async fn fields(&self, object: &str, id: &str, fields: &str) -> Value {
        let (status, record) = self
            .api(
                Method::GET,
                &format!("/sobjects/{object}/{id}?fields={fields}"),
                None,
            )
            .await;
        assert_eq!(status, 200, "{record}");
        record
    }

    /// The number of records a condition finds.
    pub async fn count(&self, from: &str) -> u64 {
        let (_, answer) = self.query(&format!("SELECT COUNT() FROM {from}")).await;
        answer["totalSize"].as_u64().expect("a count")
    }
}

#[tokio::test]
async fn a_record_lives_from_creation_to_deletion() {
    let world = world(Config::default()).await;
    let before = world.count("Account").await;
    let answer = world
        .send(
            Method::POST,
            &format!("{V}/sobjects/Account"),
            Some(json!({
                "Name": "New & \"quoted\"", "AnnualRevenue": 20000.00, "NumberOfEmployees": 12,
                "Phone": "", "BillingCity": "Zürich", "ExternalKey__c": "A/b c",
            })),
        )
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        (&answer["success"], &answer["errors"]),
        (&json!(true), &json!([]))
    );
    let id = answer["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[..3]), (18, "001"));
    assert!(location.ends_with(id));
    assert_eq!(world.count("Account").await, before + 1);
    let record = world
        .fields(
            "Account",
            id,
            "Name,AnnualRevenue,NumberOfEmployees,Phone,BillingAddress,OwnerId,CreatedById,CreatedDate,SystemModstamp,IsDeleted",
        )
        .await;
    assert_eq!(record["Name"], "New & \"quoted\"");
    assert_eq!(record["AnnualRevenue"].to_string(), "20000.0");
    assert_eq!(record["NumberOfEmployees"].to_string(), "12");
    assert_eq!(record["Phone"], Value::Null);
    assert_eq!(record["BillingAddress"]["city"], "Zürich");
    assert_eq!(record["OwnerId"], record["CreatedById"]);
    assert_eq!(record["CreatedDate"], record["SystemModstamp"]);
    assert!(
        record["CreatedDate"]
            .as_str()
            .unwrap()
            .ends_with(".000+0000")
    );

    let path = format!("/sobjects/Account/{id}");
    let change = json!({"Name": "Changed", "BillingCity": null, "AnnualRevenue": ""});
    assert_eq!(world.api(Method::PATCH, &path, Some(change)).await.0, 204);
    let record = world
        .fields(
            "Account",
            id,
            "Name,AnnualRevenue,NumberOfEmployees,BillingAddress",
        )
        .await;
    assert_eq!(record["Name"], "Changed");
    assert_eq!(record["AnnualRevenue"], Value::Null);
    assert_eq!(record["NumberOfEmployees"], 12);
    assert_eq!(record["BillingAddress"], Value::Null);
    let (_, found) = world
        .query("SELECT Id FROM Account WHERE Name = 'changed'")
        .await;
    assert_eq!(found["records"][0]["Id"], id);

    assert_eq!(world.api(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(world.count("Account").await, before);
    let (status, answer) = world.api(Method::GET, &path, None).await;
    assert_eq!((status, code(&answer)), (404, "NOT_FOUND"));
    let (status, answer) = world.api(Method::DELETE, &path, None).await;
    assert_eq!((status, code(&answer)), (404, "ENTITY_IS_DELETED"));
    let (_, binned) = world
        .api(
            Method::GET,
            &format!("/queryAll?q=SELECT+IsDeleted+FROM+Account+WHERE+Id='{id}'"),
            None,
        )
        .await;
    assert_eq!(binned["records"][0]["IsDeleted"], true);
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(
        report["writes"],
        json!({"created": 1, "updated": 1, "deleted": 1, "upserted": 0})
    );
    assert_eq!(report["calls"]["dml"], 4);
}

#[tokio::test]
async fn values_are_kept_as_they_are_written() {
    let world = world(Config::default()).await;
    for (field, written, read) in [
        ("Text__c", json!("ünï\n\u{1F600}"), json!("ünï\n\u{1F600}")),
        ("Check__c", json!(true), json!(true)),
        ("Int__c", json!(-2147483648i64), json!(-2147483648i64)),
        (
            "Long__c",
            json!(9223372036854775807i64),
            json!(9223372036854775807i64),
        ),
        ("Number__c", json!(1.5), json!(1.5)),
        ("Percent__c", json!(50), json!(50.0)),
        ("Date__c", json!("2024-02-29"), json!("2024-02-29")),
        (
            "DateTime__c",
            json!("2024-01-31T23:59:59.123Z"),
            json!("2024-01-31T23:59:59.123+0000"),
        ),
        (
            "DateTime__c",
            json!("2024-01-31T23:59:59+01:00"),
            json!("2024-01-31T22:59:59.000+0000"),
        ),
        ("Time__c", json!("14:30:00.000Z"), json!("14:30:00.000Z")),
        ("Multi__c", json!("A;C"), json!("A;C")),
        ("FixedMulti__c", json!("A;B"), json!("A;B")),
        ("Pick__c", json!("anything"), json!("anything")),
        ("Email__c", json!("a@b.example"), json!("a@b.example")),
        ("Text__c", json!(""), Value::Null),
    ] {
        let id = world.create("AllTypes__c", json!({field: written})).await;
        let record = world.fields("AllTypes__c", &id, field).await;
        assert_eq!(record[field], read, "{field}");
    }
    let id = world
        .create(
            "AllTypes__c",
            json!({"Body__c": "aGVsbG8=", "Location__Latitude__s": 47.5}),
        )
        .await;
    let body = world
        .send(
            Method::GET,
            &format!("{V}/sobjects/AllTypes__c/{id}/Body__c"),
            None,
        )
        .await
        .unwrap();
    assert_eq!(body.text().await.unwrap(), "hello");
    let record = world
        .fields("AllTypes__c", &id, "Location__c,AutoNumber__c")
        .await;
    assert_eq!(record["Location__c"]["latitude"], 47.5);
    assert!(record["AutoNumber__c"].is_string());

    // Digits a double would lose.
    let digits = "12345678901234567.012345678901234567";
    let answer = world
        .client
        .post(format!(
            "{}{V}/sobjects/AllTypes__c",
            world.sandbox.instance_url
        ))
        .bearer_auth(&world.token)
        .header("content-type", "application/json")
        .body(format!("{{\"Precise__c\": {digits}}}"))
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    let id = answer["id"].as_str().unwrap();
    let path = format!("{V}/sobjects/AllTypes__c/{id}?fields=Precise__c");
    let text = world
        .send(Method::GET, &path, None)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.contains(digits), "{text}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_code() {
    let world = world(Config::default()).await;
    let long = "x".repeat(256);
    let taken = json!({"LastName": "Holder", "ExternalKey__c": "taken"});
    world.create("Contact", taken).await;
    let binned = world.create("Account", json!({"Name": "Binned"})).await;
    world
        .api(Method::DELETE, &format!("/sobjects/Account/{binned}"), None)
        .await;
    let contact = world.create("Contact", json!({"LastName": "Other"})).await;
    for (object, fields, expected, named) in [
        (
            "Contact",
            json!({"FirstName": "x"}),
            "REQUIRED_FIELD_MISSING",
            "LastName",
        ),
        (
            "Contact",
            json!({"LastName": ""}),
            "REQUIRED_FIELD_MISSING",
            "LastName",
        ),
        (
            "Contact",
            json!({"LastName": null}),
            "REQUIRED_FIELD_MISSING",
            "LastName",
        ),
        (
            "Contact",
            json!({"LastName": "Refused Smith"}),
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "LastName",
        ),
        (
            "Contact",
            json!({"LastName": "x", "Nope": 1}),
            "INVALID_FIELD",
            "",
        ),
        (
            "Contact",
            json!({"LastName": "x", "Name": "y"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Name",
        ),
        (
            "Contact",
            json!({"LastName": "x", "CreatedDate": "2024-01-01T00:00:00Z"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "CreatedDate",
        ),
        (
            "Contact",
            json!({"LastName": "x", "Id": contact}),
            "INVALID_FIELD",
            "Id",
        ),
        (
            "Contact",
            json!({"LastName": "x", "ExternalKey__c": "TAKEN"}),
            "DUPLICATE_VALUE",
            "",
        ),
        (
            "Contact",
            json!({"LastName": "x", "Email": "no email"}),
            "INVALID_EMAIL_ADDRESS",
            "Email",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "zzz"}),
            "MALFORMED_ID",
            "AccountId",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": contact}),
            "INVALID_CROSS_REFERENCE_KEY",
            "AccountId",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "0015x00000zzzzz"}),
            "INVALID_CROSS_REFERENCE_KEY",
            "AccountId",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": binned}),
            "ENTITY_IS_DELETED",
            "AccountId",
        ),
        (
            "Contact",
            json!({"LastName": "x", "Account": {"ExternalKey__c": "none"}}),
            "INVALID_FIELD",
            "",
        ),
        (
            "Contact",
            json!({"LastName": 5}),
            "JSON_PARSER_ERROR",
            "LastName",
        ),
        (
            "AllTypes__c",
            json!({"Text__c": long}),
            "STRING_TOO_LONG",
            "Text__c",
        ),
        (
            "AllTypes__c",
            json!({"RestrictedPick__c": "Z"}),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "RestrictedPick__c",
        ),
        (
            "AllTypes__c",
            json!({"FixedMulti__c": "A;Z"}),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "FixedMulti__c",
        ),
        (
            "AllTypes__c",
            json!({"Number__c": "twelve"}),
            "JSON_PARSER_ERROR",
            "Number__c",
        ),
        (
            "AllTypes__c",
            json!({"Int__c": 1.5}),
            "JSON_PARSER_ERROR",
            "Int__c",
        ),
        (
            "AllTypes__c",
            json!({"Int__c": 2147483648u64}),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Int__c",
        ),
        (
            "AllTypes__c",
            json!({"Number__c": 1e12}),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Number__c",
        ),
        (
            "AllTypes__c",
            json!({"Number__c": 1e300}),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Number__c",
        ),
        (
            "AllTypes__c",
            json!({"Percent__c": 1000}),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Percent__c",
        ),
        (
            "AllTypes__c",
            json!({"Check__c": "yes"}),
            "JSON_PARSER_ERROR",
            "Check__c",
        ),
        (
            "AllTypes__c",
            json!({"Check__c": null}),
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            "Check__c",
        ),
        (
            "AllTypes__c",
            json!({"Date__c": "2024-02-30"}),
            "JSON_PARSER_ERROR",
            "Date__c",
        ),
        (
            "AllTypes__c",
            json!({"Date__c": "1699-12-31"}),
            "FIELD_INTEGRITY_EXCEPTION",
            "Date__c",
        ),
        (
            "AllTypes__c",
            json!({"Date__c": "4001-01-01"}),
            "FIELD_INTEGRITY_EXCEPTION",
            "Date__c",
        ),
        (
            "AllTypes__c",
            json!({"Date__c": "2024-01-01T00:00:00Z"}),
            "JSON_PARSER_ERROR",
            "Date__c",
        ),
        (
            "AllTypes__c",
            json!({"DateTime__c": "2024-01-01"}),
            "JSON_PARSER_ERROR",
            "DateTime__c",
        ),
        (
            "AllTypes__c",
            json!({"DateTime__c": "2024-01-01T00:00:00.123456Z"}),
            "JSON_PARSER_ERROR",
            "DateTime__c",
        ),
        (
            "AllTypes__c",
            json!({"Time__c": "25:00:00.000Z"}),
            "JSON_PARSER_ERROR",
            "Time__c",
        ),
        (
            "AllTypes__c",
            json!({"Body__c": "%%%"}),
            "JSON_PARSER_ERROR",
            "Body__c",
        ),
        (
            "AllTypes__c",
            json!({"Location__c": {"latitude": 1}}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Location__c",
        ),
        (
            "AllTypes__c",
            json!({"Formula__c": 1}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Formula__c",
        ),
        (
            "AllTypes__c",
            json!({"Pick__c": {"a": 1}}),
            "JSON_PARSER_ERROR",
            "Pick__c",
        ),
    ] {
        let before = world.count(object).await;
        let path = format!("/sobjects/{object}");
        let (status, answer) = world.api(Method::POST, &path, Some(fields.clone())).await;
        assert_eq!(
            (status, code(&answer)),
            (400, expected),
            "{fields}: {answer}"
        );
        let shown = answer[0]["fields"][0].as_str().unwrap_or_default();
        assert_eq!(shown, named, "{fields}");
        assert_eq!(world.count(object).await, before);
        // The same in a collection, where the answer is 200 and the code has another name.
        if expected == "INVALID_FIELD" && named == "Id" {
            continue;
        }
        let mut record = json!({"attributes": {"type": object}});
        for (name, value) in fields.as_object().unwrap() {
            record[name] = value.clone();
        }
        let (status, answer) = world
            .api(
                Method::POST,
                "/composite/sobjects",
                Some(json!({"records": [record]})),
            )
            .await;
        assert_eq!(status, 200);
        assert_eq!(answer[0]["success"], false);
        assert_eq!(answer[0]["errors"][0]["statusCode"], expected, "{fields}");
    }
}

#[tokio::test]
async fn changes_of_what_is_not_there_are_refused() {
    let world = world(Config::default()).await;
    let id = world.create("Contact", json!({"LastName": "There"})).await;
    for (path, body, status, expected) in [
        (
            "/sobjects/Nope".to_owned(),
            json!({}),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            format!("/sobjects/Contact/{id}"),
            json!({"Id": id}),
            400,
            "INVALID_FIELD",
        ),
        (
            format!("/sobjects/Contact/{id}"),
            json!({"LastName": null}),
            400,
            "REQUIRED_FIELD_MISSING",
        ),
        (
            format!("/sobjects/Contact/{id}"),
            json!([1]),
            400,
            "JSON_PARSER_ERROR",
        ),
        (
            "/sobjects/Contact/0035x00000zzzzz".to_owned(),
            json!({}),
            404,
            "NOT_FOUND",
        ),
        (
            "/sobjects/Contact/short".to_owned(),
            json!({}),
            404,
            "NOT_FOUND",
        ),
        (
            "/sobjects/Nope/0035x00000zzzzz".to_owned(),
            json!({}),
            404,
            "NOT_FOUND",
        ),
        (
            "/sobjects/Contact/Title/x".to_owned(),
            json!({}),
            404,
            "NOT_FOUND",
        ),
    ] {
        let (found, answer) = world.api(Method::PATCH, &path, Some(body)).await;
        assert_eq!(
            (found, code(&answer)),
            (status, expected),
            "{path}: {answer}"
        );
    }
    let answer = world
        .client
        .post(format!(
            "{}{V}/sobjects/Contact",
            world.sandbox.instance_url
        ))
        .bearer_auth(&world.token)
        .body("{\"LastName\": \"Plain\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 415);
    // Optimistic locking.
    let url = format!("{}{V}/sobjects/Contact/{id}", world.sandbox.instance_url);
    for (since, status) in [
        ("Wed, 01 Jan 2020 00:00:00 GMT", 412),
        ("Wed, 01 Jan 2098 00:00:00 GMT", 204),
    ] {
        let answer = world
            .client
            .patch(&url)
            .bearer_auth(&world.token)
            .header("if-unmodified-since", since)
            .json(&json!({"Title": "x"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{since}");
    }
}

#[tokio::test]
async fn an_upsert_creates_once_and_changes_afterwards() {
    let world = world(Config {
        contacts: 50,
        ..Config::default()
    })
    .await;
    let path = "/sobjects/Contact/ExternalKey__c/a%2Fb%20c";
    let (status, first) = world
        .api(Method::PATCH, path, Some(json!({"LastName": "One"})))
        .await;
    assert_eq!((status, &first["created"]), (201, &json!(true)), "{first}");
    let (status, second) = world
        .api(Method::PATCH, path, Some(json!({"LastName": "Two"})))
        .await;
    assert_eq!((status, &second["created"]), (200, &json!(false)));
    assert_eq!(first["id"], second["id"]);
    let id = first["id"].as_str().unwrap();
    let record = world.fields("Contact", id, "LastName,ExternalKey__c").await;
    assert_eq!(record["LastName"], "Two");
    assert_eq!(record["ExternalKey__c"], "a/b c");
    let (status, record) = world.api(Method::GET, path, None).await;
    assert_eq!((status, &record["Id"]), (200, &first["id"]));

    // A generated record is found by its key, also after that key moved on.
    let path = "/sobjects/Contact/ExternalKey__c/contact-0000007";
    let (status, changed) = world
        .api(Method::PATCH, path, Some(json!({"Title": "x"})))
        .await;
    assert_eq!((status, &changed["created"]), (200, &json!(false)));
    let generated = changed["id"].as_str().unwrap();
    let away = json!({"ExternalKey__c": "moved"});
    world
        .api(
            Method::PATCH,
            &format!("/sobjects/Contact/{generated}"),
            Some(away),
        )
        .await;
    let (status, answer) = world
        .api(
            Method::PATCH,
            &format!("{path}?updateOnly=true"),
            Some(json!({"Title": "y"})),
        )
        .await;
    assert_eq!((status, code(&answer)), (404, "NOT_FOUND"));
    let (status, _) = world
        .api(
            Method::PATCH,
            "/sobjects/Contact/ExternalKey__c/MOVED?updateOnly=true",
            Some(json!({"Title": "z"})),
        )
        .await;
    assert_eq!(status, 200);

    let (status, answer) = world
        .api(
            Method::PATCH,
            path,
            Some(json!({"LastName": "x", "ExternalKey__c": "x"})),
        )
        .await;
    assert_eq!((status, code(&answer)), (400, "INVALID_FIELD"));
    for _ in 0..2 {
        world
            .create("AllTypes__c", json!({"BatchKey__c": "twice"}))
            .await;
    }
    let (status, answer) = world
        .api(
            Method::PATCH,
            "/sobjects/AllTypes__c/BatchKey__c/twice",
            Some(json!({"Text__c": "lost"})),
        )
        .await;
    assert_eq!((status, answer.as_array().unwrap().len()), (300, 2));
    assert!(
        answer[0]
            .as_str()
            .unwrap()
            .starts_with("/services/data/v66.0/sobjects/AllTypes__c/a01")
    );
    assert_eq!(world.count("AllTypes__c WHERE Text__c = 'lost'").await, 0);
    // Before version 46 an update says nothing.
    let old = "/services/data/v45.0/sobjects/Contact/ExternalKey__c/moved";
    let answer = world
        .send(Method::PATCH, old, Some(json!({"Title": "old"})))
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
}
