//! The admin interface's records, counters and rules, the same words for each face.

use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{World, world};
use crate::dynamics;

/// A face's part of the admin interface.
struct Face<'a> {
    world: &'a World,
    name: &'static str,
}

impl Face<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let path = format!("/{}{path}", self.name);
        self.world.admin(method, &path, body).await
    }

    async fn find(&self, object: &str, field: &str, value: &str) -> Vec<String> {
        let path = format!("/find?object={object}&field={field}&value={value}");
        let found = self.ask(Method::GET, &path, None).await;
        let ids = found["ids"].as_array().expect("a list");
        ids.iter()
            .map(|id| id.as_str().expect("an id").to_owned())
            .collect()
    }

    async fn count(&self, object: &str) -> Value {
        let path = format!("/record_count?object={object}");
        self.ask(Method::GET, &path, None).await
    }

    async fn change(&self, change: Value) -> Value {
        self.ask(Method::POST, "/records", Some(change)).await
    }
}

/// Names of the parts that the walk below touches.
struct Words {
    face: &'static str,
    object: &'static str,
    text: &'static str,
    modified: &'static str,
    /// What a new record needs at least.
    new: Value,
}

fn words() -> Vec<Words> {
    vec![
        Words {
            face: "salesforce",
            object: "Contact",
            text: "Department",
            modified: "SystemModstamp",
            new: json!({"LastName": "Made"}),
        },
        Words {
            face: "dynamics",
            object: "contact",
            text: "department",
            modified: "modifiedon",
            new: json!({"lastname": "Made"}),
        },
        Words {
            face: "oracle",
            object: "Contact",
            text: "Department",
            modified: "ModifiedDate",
            new: json!({"ContactFirstName": "M", "ContactLastName": "Made"}),
        },
    ]
}

#[tokio::test]
async fn every_face_counts_finds_changes_deletes_and_takes_back() {
    let world = world(Config {
        contacts: 50,
        ..Config::default()
    })
    .await;
    for words in words() {
        let face = Face {
            world: &world,
            name: words.face,
        };
        let object = words.object;
        let before = face.count(object).await["count"].as_u64().expect("a count");
        let set = json!({words.text: "moved {n}"});
        let made = face
            .change(json!({
                "object": object, "skip": 10, "every": 2, "first": 5, "set": set,
                "at": "2030-01-02T03:04:05Z",
            }))
            .await;
        assert_eq!(made["records"], 5, "{}", words.face);
        let found = face.find(object, words.text, "moved%203").await;
        assert_eq!(found.len(), 1, "{}", words.face);
        let stamp = match words.face {
            "salesforce" => "2030-01-02T03:04:05.000%2B0000",
            _ => "2030-01-02T03:04:05Z",
        };
        assert_eq!(face.find(object, words.modified, stamp).await.len(), 5);

        let delete = json!({"object": object, "ids": found, "delete": "bin"});
        face.change(delete).await;
        let count = face.count(object).await;
        assert_eq!(count["count"], before - 1, "{}", words.face);
        assert!(count["deleted"].as_u64() >= Some(1), "{}", words.face);
        face.change(json!({"object": object, "ids": found, "undelete": true}))
            .await;
        assert_eq!(
            face.count(object).await["count"],
            before,
            "{} took it back",
            words.face
        );
        assert_eq!(face.find(object, words.text, "moved%203").await, found);

        let late = json!({
            "object": object, "create": [words.new], "late": true,
        });
        assert_eq!(face.change(late).await["late"], true);
        assert_eq!(face.count(object).await["count"], before);
        let made = face.ask(Method::POST, "/commit", None).await;
        let id = made[0]["ids"][0].as_str().expect("an id").to_owned();
        assert_eq!(face.count(object).await["count"], before + 1);
        face.change(json!({"object": object, "ids": [id], "delete": "erased"}))
            .await;
        assert_eq!(face.count(object).await["count"], before);
        let writes = face.ask(Method::GET, "/requests", None).await["writes"].clone();
        assert_eq!(writes["created"], 0, "changes from behind do not count");
    }
}

#[tokio::test]
async fn a_row_that_meets_a_rule_is_refused_so_many_times() {
    let world = dynamics::world(Config::default()).await;
    let admin = |path: &'static str, body: Value| {
        let url = format!("{}/dynamics{path}", world.sandbox.admin_url);
        let call = world.client.post(url).json(&body);
        async move { call.send().await.expect("an answer").status() }
    };
    let rule = json!({
        "object": "contact", "field": "lastname", "value": "Locked", "code": "0x80044150", "times": 2,
    });
    assert_eq!(admin("/record_rules", rule).await, StatusCode::NO_CONTENT);
    let create = || {
        let body = json!({"lastname": "Locked"});
        world.call(Method::POST, "/contacts", "", Some(body))
    };
    for _ in 0..2 {
        let answer = create().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.body["error"]["code"], "0x80044150");
    }
    assert_eq!(create().await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn audits_and_tracking_can_be_switched_off_for_a_table() {
    let world = dynamics::world(Config::default()).await;
    let admin = |body: Value| {
        let url = format!("{}/dynamics/deletion_log", world.sandbox.admin_url);
        let call = world.client.post(url).json(&body);
        async move { call.send().await.expect("an answer").status() }
    };
    let description =
        "/EntityDefinitions(LogicalName='contact')?$select=ChangeTrackingEnabled,IsAuditEnabled";
    let answer = world.get(description).await;
    assert_eq!(answer.body["IsAuditEnabled"]["Value"], true);
    let off = json!({"audited": {"contact": false}, "tracked": {"contact": false}});
    assert_eq!(admin(off).await, StatusCode::NO_CONTENT);
    let answer = world.get(description).await;
    assert_eq!(answer.body["IsAuditEnabled"]["Value"], false);
    assert_eq!(answer.body["ChangeTrackingEnabled"], false);
    let made = world
        .call(
            Method::POST,
            "/contacts",
            "",
            Some(json!({"lastname": "Unseen"})),
        )
        .await;
    let address = made.headers["odata-entityid"].to_str().expect("an address");
    let id = &address[address.len() - 37..address.len() - 1];
    let gone = world
        .call(Method::DELETE, &format!("/contacts({id})"), "", None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let audits = format!("/audits?$select=operation&$filter=_objectid_value%20eq%20{id}");
    let answer = world.get(&audits).await;
    assert_eq!(answer.body["value"], json!([]));
    assert_eq!(
        world
            .call(Method::GET, "/contacts", "odata.track-changes", None)
            .await
            .status,
        StatusCode::NOT_IMPLEMENTED
    );
    assert_eq!(
        admin(json!({"enabled": false})).await,
        StatusCode::NO_CONTENT
    );
    let answer = world.get("/organizations?$select=isauditenabled").await;
    assert_eq!(answer.body["value"][0]["isauditenabled"], false);
}

#[tokio::test]
async fn the_query_asked_last_is_told_and_rendered_ahead() {
    let world = dynamics::world(Config {
        contacts: 12_000,
        ..Config::default()
    })
    .await;
    let admin = |method: Method, path: &'static str| {
        let url = format!("{}/dynamics{path}", world.sandbox.admin_url);
        let call = world.client.request(method, url);
        async move {
            let answer = call.send().await.expect("an answer");
            (answer.status(), answer.text().await.expect("a body"))
        }
    };
    let (status, _) = admin(Method::GET, "/last_query").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let answer = world.get("/contacts?$select=lastname,new_score").await;
    assert_eq!(answer.status, StatusCode::OK);
    let (_, last) = admin(Method::GET, "/last_query").await;
    assert_eq!(last, "contacts?$select=lastname,new_score");
    let (_, pages) = admin(Method::POST, "/prerender").await;
    assert_eq!(pages, r#"{"pages":3}"#);
}
