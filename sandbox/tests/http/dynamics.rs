//! The Dynamics face as a client meets it: sign-in, metadata, reading.

use crm_sandbox::Config;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::client;

/// Root of the version the tests use.
const V: &str = "/api/data/v9.2";

/// A server and a client signed in at the directory.
pub struct World {
    pub sandbox: crm_sandbox::Sandbox,
    pub client: reqwest::Client,
    pub token: String,
}

/// An answer: status, headers, body as JSON where it is.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

pub async fn world(config: Config) -> World {
    let sandbox = crm_sandbox::start(config)
        .await
        .expect("the sandbox starts");
    let client = client(&sandbox);
    let mut world = World {
        sandbox,
        client,
        token: String::new(),
    };
    let answer = world.grant(&world.password("username")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    world.token = answer.body["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    world
}

impl World {
    /// A value of `sandbox.json`.
    pub fn access(&self, name: &str) -> String {
        let value = &self.sandbox.description()["dynamics"][name];
        value.as_str().expect("a text").to_owned()
    }

    fn password(&self, user: &str) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "password".to_owned()),
            ("client_id", self.access("public_client_id")),
            (
                "scope",
                format!("{}/.default", self.access("organisation_url")),
            ),
            ("username", self.access(user)),
            ("password", self.access("password")),
        ]
    }

    async fn grant(&self, form: &[(&str, String)]) -> Answer {
        let call = self.client.post(self.access("token_url")).form(form);
        read(call).await
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        prefer: &str,
        body: Option<Value>,
    ) -> Answer {
        let url = match path.starts_with("https:") {
            true => path.to_owned(),
            false => format!("{}{V}{path}", self.sandbox.instance_url),
        };
        let mut call = self.client.request(method, url).bearer_auth(&self.token);
        if !prefer.is_empty() {
            call = call.header("Prefer", prefer);
        }
        if let Some(body) = body {
            call = call.json(&body);
        }
        read(call).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "", None).await
    }

    /// The identifiers' last digits of the rows of `new_alltypes` that fit.
    async fn matching(&self, filter: &str) -> Vec<u32> {
        let path = format!(
            "/new_alltypeses?$select=new_name&$filter={}",
            encode(filter)
        );
        let answer = self.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{filter}: {}", answer.text);
        answer.body["value"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                let id = row["new_alltypesid"].as_str().expect("an id");
                id[30..].parse().expect("a number")
            })
            .collect()
    }
}

pub async fn read(call: reqwest::RequestBuilder) -> Answer {
    let answer = call.send().await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.expect("a body");
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn the_challenge_names_where_to_sign_in() {
    let world = world(Config::default()).await;
    for (path, authority) in [
        (V, format!("/{}/oauth2/authorize", world.access("tenant"))),
        ("/ifd/api/data/v9.0", "/adfs/oauth2/authorize".to_owned()),
    ] {
        let url = format!("{}{path}/", world.sandbox.instance_url);
        let answer = read(world.client.get(url)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let challenge = answer.headers["www-authenticate"].to_str().expect("text");
        assert!(challenge.contains(&authority), "{challenge}");
        assert!(challenge.contains("resource_id="), "{challenge}");
    }
    let tenant = format!("{}/{}", world.access("login_url"), world.access("tenant"));
    let url = format!("{tenant}/v2.0/.well-known/openid-configuration");
    let described = read(world.client.get(url)).await;
    assert_eq!(described.body["token_endpoint"], world.access("token_url"));
    let url = format!("{}/claims/api/data/", world.sandbox.instance_url);
    let answer = read(world.client.get(url)).await;
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[tokio::test]
async fn grants_are_refused_for_the_reason_they_fail() {
    let world = world(Config::default()).await;
    for (user, code) in [
        ("expired_username", 50_055),
        ("mfa_username", 50_076),
        ("blocked_username", 53_003),
        ("disabled_username", 50_057),
    ] {
        let answer = world.grant(&world.password(user)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["error_codes"][0], code);
    }
    let with = |name: &'static str, value: &str| {
        let mut form = world.password("username");
        form.retain(|(key, _)| *key != name);
        form.push((name, value.to_owned()));
        form
    };
    for (name, value, code) in [
        ("password", "wrong", 50_126),
        ("username", "nobody@contoso.test", 50_034),
        ("client_id", "7e57c11e-0000-4000-8000-00000000ffff", 700_016),
        ("scope", "https://other.example/.default", 500_011),
        ("scope", "nothing", 70_011),
        ("client_secret", "a secret", 700_025),
        ("grant_type", "client_credentials", 7_000_218),
        ("grant_type", "device_code", 70_003),
    ] {
        let answer = world.grant(&with(name, value)).await;
        assert_eq!(
            answer.body["error_codes"][0], code,
            "{name} {}",
            answer.text
        );
        assert!(
            answer.body["error_description"]
                .as_str()
                .is_some_and(|t| t.contains("\r\n"))
        );
    }
}

#[tokio::test]
async fn an_application_signs_in_and_a_stranger_is_kept_out() {
    let world = world(Config::default()).await;
    for (client, status) in [
        ("client_id", StatusCode::OK),
        ("stranger_client_id", StatusCode::FORBIDDEN),
    ] {
        let answer = world
            .grant(&[
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", world.access(client)),
                ("client_secret", world.access("client_secret")),
                (
                    "scope",
                    format!("{}//.default", world.access("organisation_url")),
                ),
            ])
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let token = answer.body["access_token"].as_str().expect("a token");
        let url = format!("{}{V}/WhoAmI", world.sandbox.instance_url);
        let who = read(world.client.get(url).bearer_auth(token)).await;
        assert_eq!(who.status, status, "{}", who.text);
        if status == StatusCode::OK {
            assert_eq!(who.body["UserId"], "00000008-0000-4000-8000-000000000003");
        }
    }
}

#[tokio::test]
async fn adfs_tokens_open_the_ifd_address_only() {
    let world = world(Config::default()).await;
    let ifd = world.access("ifd_url");
    let form = [
        ("grant_type", "password".to_owned()),
        ("client_id", world.access("public_client_id")),
        ("resource", format!("{ifd}/")),
        ("username", world.access("windows_username")),
        ("password", world.access("password")),
    ];
    let answer = read(
        world
            .client
            .post(world.access("adfs_token_url"))
            .form(&form),
    )
    .await;
    let token = answer.body["access_token"].as_str().expect("a token");
    for (url, status) in [
        (format!("{ifd}/api/data/v9.0/WhoAmI"), 200),
        (format!("{ifd}/api/data/v9.2/WhoAmI"), 501),
        (format!("{}{V}/WhoAmI", world.sandbox.instance_url), 401),
    ] {
        let answer = read(world.client.get(&url).bearer_auth(token)).await;
        assert_eq!(answer.status.as_u16(), status, "{url}");
    }
}

#[tokio::test]
async fn metadata_tells_types_targets_and_options() {
    let world = world(Config::default()).await;
    let all = world
        .get("/EntityDefinitions?$select=LogicalName,EntitySetName,ChangeTrackingEnabled")
        .await;
    let tables = all.body["value"].as_array().expect("tables");
    let contact = tables
        .iter()
        .find(|t| t["LogicalName"] == "contact")
        .expect("contact");
    assert_eq!(contact["EntitySetName"], "contacts");
    assert!(contact["MetadataId"].is_string() && contact.get("SchemaName").is_none());
    let columns = world
        .get("/EntityDefinitions(LogicalName='new_alltypes')/Attributes?$select=LogicalName,AttributeType,AttributeTypeName")
        .await;
    let kind = |name: &str| {
        let columns = columns.body["value"].as_array().expect("columns");
        let column = columns
            .iter()
            .find(|c| c["LogicalName"] == name)
            .expect("a column");
        (
            column["AttributeType"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            column["AttributeTypeName"]["Value"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    assert_eq!(
        kind("new_choices"),
        ("Virtual".into(), "MultiSelectPicklistType".into())
    );
    assert_eq!(kind("new_money"), ("Money".into(), "MoneyType".into()));
    let cast = |name: &str, options: &str| {
        format!(
            "/EntityDefinitions(LogicalName='new_alltypes')/Attributes/Microsoft.Dynamics.CRM.{name}AttributeMetadata?{options}"
        )
    };
    let dates = world
        .get(&cast("DateTime", "$select=LogicalName,DateTimeBehavior"))
        .await;
    let behavior: Vec<&str> = dates.body["value"]
        .as_array()
        .expect("columns")
        .iter()
        .filter(|c| {
            c["LogicalName"]
                .as_str()
                .is_some_and(|n| n.starts_with("new_"))
        })
        .filter_map(|c| c["DateTimeBehavior"]["Value"].as_str())
        .collect();
    assert_eq!(
        behavior,
        ["UserLocal", "TimeZoneIndependent", "DateOnly", "UserLocal"]
    );
    let lookups = world
        .get(&cast("Lookup", "$select=LogicalName,Targets"))
        .await;
    assert!(
        lookups
            .text
            .contains(r#""Targets":["account","lead","opportunity"]"#),
        "{}",
        lookups.text
    );
    let sets = world
        .get(&cast(
            "Status",
            "$select=LogicalName&$expand=OptionSet,GlobalOptionSet",
        ))
        .await;
    assert_eq!(sets.body["value"][0]["OptionSet"]["Options"][1]["State"], 1);
    assert_eq!(sets.body["value"][0]["GlobalOptionSet"], Value::Null);
    let shared = world
        .get("/GlobalOptionSetDefinitions(Name='new_colour')")
        .await;
    assert_eq!(
        shared.body["Options"][2]["Label"]["LocalizedLabels"][1]["LanguageCode"],
        1_031
    );
    let navigation = world
        .get("/EntityDefinitions(LogicalName='new_alltypes')?$select=LogicalName&$expand=Keys($select=KeyAttributes),ManyToOneRelationships($select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName)")
        .await;
    assert!(
        navigation
            .text
            .contains(r#""ReferencingEntityNavigationPropertyName":"new_Customer_contact""#)
    );
    assert_eq!(
        navigation.body["Keys"][0]["KeyAttributes"],
        json!(["new_code"])
    );
    for (path, status) in [
        ("/EntityDefinitions(LogicalName='nothing')", 404),
        ("/EntityDefinitions?$select=Nothing", 400),
        ("/EntityDefinitions?$top=1", 501),
        (
            "/EntityDefinitions(LogicalName='account')/Attributes?$select=MaxLength",
            400,
        ),
        (
            "/EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.EnumAttributeMetadata",
            404,
        ),
        ("/GlobalOptionSetDefinitions?$filter=Name%20eq%20'x'", 501),
    ] {
        assert_eq!(world.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn filters_find_what_dynamics_would() {
    let world = world(Config::default()).await;
    for (filter, rows) in [
        // Text goes without case; null differs from everything.
        ("new_name eq 'EVERYTHING'", &[1, 6][..]),
        ("new_name eq 'everything  '", &[1, 6]),
        ("new_email ne 'a@b.example'", &[2, 3, 4, 5, 6]),
        ("not (new_email eq 'a@b.example')", &[2, 3, 4, 5, 6]),
        ("new_whole eq null", &[4, 5, 6]),
        ("new_whole ne null", &[1, 2, 3]),
        ("new_whole lt 42", &[2]),
        ("42 gt new_whole", &[2]),
        ("new_whole ge -2147483648 and new_whole le 42", &[1, 2]),
        ("new_big eq 9223372036854775807", &[3]),
        ("new_decimal gt 0.5", &[1, 3]),
        ("new_money eq 20000", &[1]),
        ("new_float eq 47.63958", &[1]),
        ("new_yesno eq true or new_whole eq 2147483647", &[1, 3]),
        ("new_day eq 2024-02-29", &[1]),
        ("new_when ge 2024-03-01T00:59:59+01:00", &[1, 3]),
        ("new_when lt 2024-01-01", &[2]),
        ("new_choice eq 100000001", &[2]),
        ("new_guid eq 6f9619ff-8b86-d011-b42d-00c04fc964ff", &[1]),
        (
            "_new_accountid_value eq 00000001-0000-4000-8000-000000000001",
            &[1],
        ),
        ("new_AccountId/name eq 'zoonoodle 37'", &[1]),
        ("new_choices eq '8,3,2'", &[1]),
        ("contains(new_name,'THING')", &[1, 4, 6]),
        ("startswith(new_name,'%ma')", &[2]),
        ("startswith(new_name,'[%]ma')", &[]),
        ("contains(new_name,'100[%]')", &[5]),
        ("endswith(new_name,'est')", &[2, 3]),
        (
            "new_name eq 'O''Brien & <Sons> 100% [sic] \\ \u{202e}rtl'",
            &[5],
        ),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='new_whole',PropertyValues=[\"42\",\"7\"])",
            &[1],
        ),
        (
            "Microsoft.Dynamics.CRM.Between(PropertyName='new_whole',PropertyValues=[\"0\",\"100\"])",
            &[1],
        ),
        (
            "Microsoft.Dynamics.CRM.ContainValues(PropertyName='new_choices',PropertyValues=['9'])",
            &[2],
        ),
        (
            "Microsoft.Dynamics.CRM.On(PropertyName='new_when',PropertyValue='2024-02-29')",
            &[1],
        ),
    ] {
        assert_eq!(world.matching(filter).await, rows, "{filter}");
    }
}

#[tokio::test]
async fn filters_dynamics_does_not_know_are_refused() {
    let world = world(Config::default()).await;
    for (filter, status) in [
        ("New_Name eq 'x'", 400),
        ("new_nothing eq 1", 400),
        ("new_accountid eq null", 400),
        ("new_name eq 1", 400),
        ("new_whole eq '1'", 400),
        ("new_whole eq 1.5", 400),
        ("new_day eq 2024-02-29T00:00:00Z", 400),
        ("new_yesno eq 1", 400),
        ("new_whole eq new_name", 400),
        ("new_name in ('a','b')", 400),
        ("new_whole add 1 eq 2", 400),
        ("length(new_name) eq 3", 501),
        ("contains(tolower(new_name),'x')", 501),
        ("contains(new_whole,'1')", 400),
        ("frobnicate(new_name)", 400),
        ("new_name eq 'x", 400),
        ("new_name eq 'x' and", 400),
        ("(new_name eq 'x'", 400),
        ("new_name eq @p", 400),
    ] {
        let path = format!("/new_alltypeses?$filter={}", encode(filter));
        let answer = world.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{filter}: {}", answer.text);
        assert!(answer.body["error"]["message"].is_string(), "{filter}");
    }
    for option in [
        "$skip=1",
        "$search=x",
        "$format=json",
        "$orderby=nothing",
        "$top=x",
    ] {
        let answer = world.get(&format!("/accounts?{option}")).await;
        assert!(
            answer.status.is_client_error() || answer.status == 501,
            "{option}"
        );
    }
    assert_eq!(
        world.get("/Accounts").await.body["error"]["code"],
        "0x8006088a"
    );
}

#[tokio::test]
async fn pages_follow_one_another_and_order_holds() {
    let config = Config {
        contacts: 2_500,
        ..Config::default()
    };
    let world = world(config).await;
    for order in ["", "&$orderby=lastname%20desc,contactid"] {
        let mut url = format!("/contacts?$select=lastname&$count=true{order}");
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let answer = world
                .call(Method::GET, &url, "odata.maxpagesize=1000", None)
                .await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            assert_eq!(
                answer.headers["preference-applied"],
                "odata.maxpagesize=1000"
            );
            for row in answer.body["value"].as_array().expect("rows") {
                seen.push(row["contactid"].as_str().expect("an id").to_owned());
            }
            pages += 1;
            match answer.body["@odata.nextLink"].as_str() {
                Some(next) => url = next.to_owned(),
                None => break,
            }
            assert_eq!(answer.body["@odata.count"], 3_692);
        }
        assert_eq!((seen.len(), pages), (3_692, 4));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3_692);
    }
    let top = world.get("/contacts?$select=fullname&$top=3").await;
    assert_eq!(top.body["value"].as_array().map(Vec::len), Some(3));
    assert_eq!(top.body.get("@odata.nextLink"), None);
    let both = world
        .call(
            Method::GET,
            "/contacts?$select=fullname&$top=3",
            "odata.maxpagesize=10",
            None,
        )
        .await;
    assert_eq!(both.body["value"].as_array().map(Vec::len), Some(10));
    assert_eq!(world.get("/contacts/$count").await.text, "\u{feff}3692");
    let counted = world
        .get("/RetrieveTotalRecordCount(EntityNames=@p)?@p=['contact']")
        .await;
    assert_eq!(
        counted.body["EntityRecordCountCollection"]["Values"][0],
        3_692
    );
}

#[tokio::test]
async fn annotations_show_what_was_asked_for() {
    let world = world(Config::default()).await;
    let path = "/new_alltypeses(0000273a-0000-4000-8000-000000000001)?$select=new_choices,new_money,_new_customer_value,new_when,new_big&$expand=new_AccountId($select=name)";
    let answer = world
        .call(Method::GET, path, "odata.include-annotations=\"*\"", None)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let shown = |name: &str| {
        answer.body[format!("{name}@OData.Community.Display.V1.FormattedValue")].clone()
    };
    assert_eq!(shown("new_choices"), "Two; Three; Eight");
    assert_eq!(shown("new_money"), "$20,000.00");
    assert_eq!(shown("new_when"), "2/29/2024 11:59 PM");
    assert_eq!(
        answer.body["_new_customer_value@Microsoft.Dynamics.CRM.lookuplogicalname"],
        "contact"
    );
    assert_eq!(
        answer.body["_new_customer_value@Microsoft.Dynamics.CRM.associatednavigationproperty"],
        "new_Customer_contact"
    );
    assert!(
        answer.text.contains("\"new_money\":20000.0000"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("\"new_big\":9007199254740993"));
    assert_eq!(answer.body["new_AccountId"]["name"], "Zoonoodle 37");
    let plain = world.get(path).await;
    assert!(!plain.text.contains("FormattedValue"));
    assert_eq!(plain.headers["odata-version"], "4.0");
}

#[tokio::test]
async fn faults_take_the_form_of_this_face() {
    let world = world(Config::default()).await;
    let order = |fault: Value| {
        let url = format!("{}/faults", world.sandbox.admin_url);
        world.client.post(url).json(&fault).send()
    };
    order(json!({"path": "/accounts", "kind": "status", "status": 429, "retry_after": 2}))
        .await
        .expect("an answer");
    let limited = world.get("/accounts?$top=1").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers["retry-after"], "2");
    assert_eq!(limited.body["error"]["code"], "0x80072322");
    order(json!({"path": "/accounts", "kind": "foreign_next_link"}))
        .await
        .expect("an answer");
    let foreign = world
        .call(
            Method::GET,
            "/accounts?$select=name",
            "odata.maxpagesize=5",
            None,
        )
        .await;
    let next = foreign.body["@odata.nextLink"].as_str().expect("a link");
    assert!(
        next.starts_with("https://evil.example/api/data/v9.2/accounts?"),
        "{next}"
    );
    order(json!({"path": "/accounts", "kind": "unauthorized"}))
        .await
        .expect("an answer");
    for _ in 0..2 {
        let refused = world.get("/accounts?$top=1").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.headers.contains_key("www-authenticate"));
    }
}
