//! UI API: record types and the picklist values they allow, next to what describe says.

use crate::common::{V, World, code, world};
use crm_sandbox::Config;
use reqwest::StatusCode;
use serde_json::{Value, json};

const MASTER: &str = "012000000000000AAA";

async fn object_info(world: &World, object: &str) -> Value {
    let (status, info) = world.get(&format!("{V}/ui-api/object-info/{object}")).await;
    assert_eq!(status, StatusCode::OK, "{info}");
    info
}

fn record_type(info: &Value, name: &str) -> String {
    let infos = info["recordTypeInfos"].as_object().unwrap();
    let (id, _) = infos.iter().find(|(_, i)| i["name"] == name).unwrap();
    id.clone()
}

async fn values(world: &World, record_type: &str) -> Value {
    let path = format!("{V}/ui-api/object-info/Custom__c/picklist-values/{record_type}");
    let (status, answer) = world.get(&path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["picklistFieldValues"].clone()
}

fn names(field: &Value) -> Vec<&str> {
    let list = field["values"].as_array().unwrap();
    list.iter().map(|v| v["value"].as_str().unwrap()).collect()
}

/// Controlling values a value goes with, by name.
fn goes_with<'f>(field: &'f Value, value: &str) -> Vec<&'f str> {
    let list = field["values"].as_array().unwrap();
    let entry = list.iter().find(|v| v["value"] == value).unwrap();
    let valid = entry["validFor"].as_array().unwrap();
    let controlling = field["controllerValues"].as_object().unwrap();
    controlling
        .iter()
        .filter(|(_, number)| valid.contains(number))
        .map(|(name, _)| name.as_str())
        .collect()
}

#[tokio::test]
async fn objects_name_their_record_types() {
    let world = world(Config::default()).await;
    let info = object_info(&world, "Custom__c").await;
    assert_eq!(info["defaultRecordTypeId"], record_type(&info, "Direct"));
    assert_eq!(record_type(&info, "Master"), MASTER);
    assert_eq!(info["recordTypeInfos"].as_object().unwrap().len(), 3);
    assert_eq!(info["fields"]["City__c"]["controllerName"], "Country__c");
    assert_eq!(info["fields"]["City__c"]["dataType"], "Picklist");
    let contact = object_info(&world, "contact").await;
    assert_eq!(
        (&contact["apiName"], &contact["defaultRecordTypeId"]),
        (&json!("Contact"), &json!(MASTER))
    );
    let (_, found) = world
        .query("SELECT Id, Name FROM RecordType WHERE SobjectType = 'Custom__c'")
        .await;
    for record in found["records"].as_array().unwrap() {
        let name = record["Name"].as_str().unwrap();
        assert_eq!(record["Id"], record_type(&info, name));
    }
    for object in [
        "Organization",
        "RecordType",
        "OpportunityContactRole",
        "Nope",
    ] {
        let (status, answer) = world.get(&format!("{V}/ui-api/object-info/{object}")).await;
        assert_eq!(
            (status, code(&answer)),
            (StatusCode::BAD_REQUEST, "INVALID_TYPE"),
            "{object}"
        );
    }
}

#[tokio::test]
async fn record_types_allow_different_values() {
    let world = world(Config::default()).await;
    let info = object_info(&world, "Custom__c").await;
    let direct = values(&world, &record_type(&info, "Direct")).await;
    let partner = values(&world, &record_type(&info, "Partner")).await;
    let all = values(&world, MASTER).await;
    assert_eq!(names(&direct["Country__c"]), ["FR", "MT", "ES"]);
    assert_eq!(names(&partner["Country__c"]), ["AT", "SE"]);
    assert_eq!(
        all["Country__c"]["values"].as_array().unwrap().len(),
        27,
        "the inactive one is missing"
    );
    assert_eq!(names(&direct["Colours__c"]), ["red", "green"]);
    assert_eq!(names(&all["Colours__c"]), ["red", "green", "blue"]);
    assert_eq!(names(&partner["Plan__c"]), ["basic", "gold"]);
    assert_eq!(names(&direct["Plan__c"]), ["free", "basic", "gold"]);
    assert_eq!(
        direct["Country__c"]["defaultValue"],
        Value::Null,
        "the default is not allowed"
    );
    assert_eq!(partner["Country__c"]["defaultValue"]["value"], "AT");
    assert_eq!(all["Country__c"]["controllerValues"], json!({}));
    assert_eq!(goes_with(&direct["City__c"], "harbour"), ["FR", "MT", "ES"]);
    assert_eq!(goes_with(&partner["City__c"], "harbour"), ["SE"]);
    assert_eq!(goes_with(&partner["City__c"], "nowhere"), [""; 0]);
    assert_eq!(goes_with(&all["Plan__c"], "basic"), ["false", "true"]);
    assert_eq!(goes_with(&all["Plan__c"], "gold"), ["true"]);
    let one = format!("{V}/ui-api/object-info/Custom__c/picklist-values/{MASTER}/City__c");
    let (status, field) = world.get(&one).await;
    assert_eq!((status, &field), (StatusCode::OK, &all["City__c"]));
    for (tail, expected) in [
        (format!("{MASTER}/Name"), StatusCode::NOT_FOUND),
        ("01254000001upcKAAQ".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let path = format!("{V}/ui-api/object-info/Custom__c/picklist-values/{tail}");
        assert_eq!(world.get(&path).await.0, expected, "{tail}");
    }
    let old = |version: &str, tail: &str| {
        format!(
            "/services/data/{version}/ui-api/object-info/Custom__c/picklist-values/{MASTER}{tail}"
        )
    };
    assert_eq!(world.get(&old("v41.0", "")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&old("v41.0", "/City__c")).await.0, StatusCode::OK);
    assert_eq!(
        world.get(&old("v40.0", "/City__c")).await.0,
        StatusCode::NOT_FOUND
    );
    let report = world.admin(reqwest::Method::GET, "/requests", None).await;
    assert_eq!(report["calls"]["object_info"], 1);
    assert_eq!(report["calls"]["picklist_values"], 9);
}

/// The bitmaps of describe, read as section 3.5 says, must give what the UI API lists.
#[tokio::test]
async fn describe_and_ui_api_agree() {
    let world = world(Config::default()).await;
    let (_, described) = world.get(&format!("{V}/sobjects/Custom__c/describe")).await;
    let field = |name: &str| {
        let fields = described["fields"].as_array().unwrap();
        fields.iter().find(|f| f["name"] == name).unwrap().clone()
    };
    let all = values(&world, MASTER).await;
    let countries = field("Country__c");
    let countries: Vec<&Value> = countries["picklistValues"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let city = field("City__c");
    assert_eq!(
        (&city["dependentPicklist"], &city["controllerName"]),
        (&json!(true), &json!("Country__c"))
    );
    let mut inactive = 0;
    for value in city["picklistValues"].as_array().unwrap() {
        let name = value["value"].as_str().unwrap();
        let letters = format!("{:A<8}", value["validFor"].as_str().unwrap());
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(letters)
            .unwrap();
        let valid: Vec<&str> = countries
            .iter()
            .enumerate()
            .filter(|(place, country)| {
                bytes[place >> 3] & (0x80 >> (place % 8)) != 0 && country["active"] == true
            })
            .map(|(_, country)| country["value"].as_str().unwrap())
            .collect();
        if value["active"] == true {
            assert_eq!(goes_with(&all["City__c"], name), valid, "{name}");
        } else {
            inactive += 1;
            assert!(!names(&all["City__c"]).contains(&name));
        }
    }
    assert_eq!(inactive, 1);
}
