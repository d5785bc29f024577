//! The Oracle face over HTTPS: sessions, pages, writes and faults, as a SOAP client meets them.

use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::common::{World, world};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Signs in; the session, or nothing.
async fn login(world: &World, password: &str) -> (StatusCode, Option<String>) {
    let url = format!(
        "{}/Services/Integration?command=login&isEncoded=Y",
        world.sandbox.instance_url
    );
    let answer = world
        .client
        .get(url)
        .header("UserName", encoded(&world.sandbox.oracle.username))
        .header("Password", encoded(password))
        .send()
        .await
        .expect("an answer");
    let cookie = answer
        .headers()
        .get("set-cookie")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::to_owned);
    (answer.status(), cookie)
}

async fn session(world: &World) -> String {
    let (status, cookie) = login(world, &world.sandbox.oracle.password).await;
    assert_eq!(status, StatusCode::OK);
    cookie.expect("a cookie")
}

/// One SOAP call.
async fn call(
    world: &World,
    cookie: &str,
    service: &str,
    operation: &str,
    body: &str,
) -> (StatusCode, String) {
    let envelope = format!("<e:Envelope xmlns:e=\"{SOAP}\"><e:Body>{body}</e:Body></e:Envelope>");
    let answer = world
        .client
        .post(format!(
            "{}/Services/Integration",
            world.sandbox.instance_url
        ))
        .header("Content-Type", "text/xml; charset=utf-8")
        .header("SOAPAction", format!("\"document/{service}:{operation}\""))
        .header("Cookie", cookie)
        .body(envelope)
        .send()
        .await
        .expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

const CONTACT: &str = "urn:crmondemand/ws/ecbs/contact/";

/// A page of contacts; `list` and `record` are attributes, `columns` elements.
async fn page(
    world: &World,
    cookie: &str,
    list: &str,
    record: &str,
    columns: &str,
) -> (StatusCode, String) {
    let body = format!(
        "<ContactQueryPage_Input xmlns=\"{CONTACT}\"><ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Query\" {list}><Contact {record}>{columns}</Contact></ListOfContact></ContactQueryPage_Input>"
    );
    call(world, cookie, CONTACT, "ContactQueryPage", &body).await
}

async fn write(
    world: &World,
    cookie: &str,
    operation: &str,
    records: &str,
) -> (StatusCode, String) {
    let body = format!(
        "<Contact{operation}_Input xmlns=\"{CONTACT}\"><ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Data\">{records}</ListOfContact></Contact{operation}_Input>"
    );
    call(
        world,
        cookie,
        CONTACT,
        &format!("Contact{operation}"),
        &body,
    )
    .await
}

/// All values of an element, in order.
fn values(text: &str, tag: &str) -> Vec<String> {
    text.split(&format!("<{tag}>"))
        .skip(1)
        .filter_map(|rest| rest.split('<').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn sessions_are_counted_expire_and_end() {
    let world = world(Config::default()).await;
    let (status, cookie) = login(&world, "wrong").await;
    assert_eq!((status, cookie), (StatusCode::FORBIDDEN, None));
    world
        .admin(Method::POST, "/oracle", Some(json!({"session_limit": 2})))
        .await;
    let first = session(&world).await;
    let second = session(&world).await;
    let (status, third) = login(&world, &world.sandbox.oracle.password).await;
    assert_eq!((status, third), (StatusCode::FORBIDDEN, None));
    let logoff = format!(
        "{}/Services/Integration?command=logoff",
        world.sandbox.instance_url
    );
    let answer = world
        .client
        .get(logoff)
        .header("Cookie", &second)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let (status, text) = page(&world, &second, "", "", "<Id/>").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        text.contains("<ErrorCode>SBL-ODU-01006</ErrorCode>"),
        "{text}"
    );
    session(&world).await;
    assert_eq!(
        page(&world, &first, "", "", "<Id/>").await.0,
        StatusCode::OK
    );
    world
        .admin(Method::POST, "/clock", Some(json!({"offset_s": 601})))
        .await;
    assert!(
        page(&world, &first, "", "", "<Id/>")
            .await
            .1
            .contains("SBL-ODU-01006")
    );
}

#[tokio::test]
async fn a_request_with_credentials_needs_no_session() {
    let world = world(Config::default()).await;
    let send = |password: String| {
        let header = format!(
            "<w:Security xmlns:w=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\"><w:UsernameToken><w:Username>{}</w:Username><w:Password>{password}</w:Password></w:UsernameToken></w:Security>",
            world.sandbox.oracle.username
        );
        let body = format!(
            "<e:Envelope xmlns:e=\"{SOAP}\"><e:Header>{header}</e:Header><e:Body><TimeWS_GetServerTime_Input xmlns=\"urn:crmondemand/ws/time/\"/></e:Body></e:Envelope>"
        );
        let url = format!("{}/Services/Integration", world.sandbox.instance_url);
        let call = world.client.post(url).body(body);
        async move {
            call.send()
                .await
                .expect("an answer")
                .text()
                .await
                .expect("a body")
        }
    };
    let right = world
        .sandbox
        .oracle
        .password
        .replace('&', "&amp;")
        .replace('<', "&lt;");
    let text = send(right).await;
    assert!(
        text.contains("<ns:TimeZone>(GMT-06:00) Central Time (US &amp; Canada)</ns:TimeZone>"),
        "{text}"
    );
    assert!(
        send("wrong".to_owned())
            .await
            .contains("Invalid user name or password")
    );
    let report = world.admin(Method::GET, "/oracle/report", None).await;
    assert_eq!(report["sessions"], 0);
}

#[tokio::test]
async fn pages_have_ten_records_and_at_most_a_hundred() {
    let world = world(Config {
        contacts: 250,
        ..Config::default()
    })
    .await;
    let cookie = session(&world).await;
    let generated = "searchspec=\"[ExternalSystemId] LIKE 'Contact-0*'\"";
    let (_, text) = page(&world, &cookie, "", generated, "<Id/>").await;
    assert_eq!(values(&text, "Id").len(), 10);
    assert!(text.contains("lastpage=\"false\""));
    let (_, text) = page(&world, &cookie, "pagesize=\"101\"", "", "<Id/>").await;
    assert!(text.contains("SBL-EAI-13011"), "{text}");
    let mut ids = Vec::new();
    let sizes = [100, 100, 50];
    for (turn, size) in sizes.into_iter().enumerate() {
        let list = format!(
            "pagesize=\"100\" startrownum=\"{}\" recordcountneeded=\"true\"",
            ids.len()
        );
        let columns = "<Id sortorder=\"ASC\" sortsequence=\"1\"/><CustomInteger0/><JobTitle/>";
        let (_, text) = page(&world, &cookie, &list, generated, columns).await;
        let found = values(&text, "Id");
        assert_eq!(found.len(), size);
        assert!(text.contains("recordcount=\"250\""));
        assert_eq!(text.contains("lastpage=\"true\""), turn == 2);
        assert!(text.contains("<JobTitle/>") && !text.contains("<CustomInteger0/>"));
        ids.extend(found);
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted, ids);
    // Behind a given id, and the same rows without a sort, though in another order.
    let spec = format!(
        "searchspec=\"([Id] &gt; '{}') AND ([Id] &lt;= '{}')\"",
        ids[99], ids[199]
    );
    let (_, text) = page(
        &world,
        &cookie,
        "pagesize=\"100\"",
        &spec,
        "<Id sortorder=\"ASC\"/>",
    )
    .await;
    assert_eq!(values(&text, "Id"), ids[100..200]);
    let (_, text) = page(&world, &cookie, "pagesize=\"100\"", &spec, "<Id/>").await;
    let mut unsorted = values(&text, "Id");
    assert_ne!(unsorted, ids[100..200]);
    unsorted.sort();
    assert_eq!(unsorted, ids[100..200]);
}

#[tokio::test]
async fn queries_are_refused_with_the_codes_of_the_guide() {
    let world = world(Config::default()).await;
    let cookie = session(&world).await;
    for (record, columns, code) in [
        ("searchspec=\"[ShoeSize] = '1'\"", "<Id/>", "SBL-UNU-00133"),
        ("searchspec=\"[Id] = 1\"", "<Id/>", "SBL-EAI-13010"),
        (
            "searchspec=\"[Id] = 'a' AND [Id] = 'b'\"",
            "<Id/>",
            "SBL-EAI-13010",
        ),
        (
            "searchspec=\"[CustomInteger0] = 'x'\"",
            "<Id/>",
            "SBL-EAI-13011",
        ),
        ("", "<ShoeSize/>", "SBL-EAI-04127"),
        ("", "<ContactImage/>", "SBL-EAI-04127"),
        (
            "",
            "<Id xmlns=\"urn:/crmondemand/xml/contact/Query\"/>",
            "SBL-EAI-04127",
        ),
        ("", "<Description sortorder=\"ASC\"/>", "SBL-DAT-00498"),
    ] {
        let (status, text) = page(&world, &cookie, "", record, columns).await;
        assert_eq!(
            status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{record}{columns}"
        );
        assert!(
            text.contains(&format!("<siebelf:errorcode>({code})</siebelf:errorcode>")),
            "{text}"
        );
        assert!(text.contains("(SBL-EAI-04316)"));
    }
    let settings = json!({"fault_status": 200, "bare_codes": true});
    world.admin(Method::POST, "/oracle", Some(settings)).await;
    let (status, text) = page(&world, &cookie, "", "", "<ShoeSize/>").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("<siebelf:errorcode>SBL-EAI-04127</siebelf:errorcode>"),
        "{text}"
    );
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let world = world(Config {
        contacts: 10,
        ..Config::default()
    })
    .await;
    let cookie = session(&world).await;
    let person = |key: &str, rest: &str| {
        format!(
            "<Contact><ContactFirstName>Ann</ContactFirstName><ContactLastName>Doe {key}</ContactLastName><ExternalSystemId>{key}</ExternalSystemId>{rest}</Contact>"
        )
    };
    let bad = "<CustomInteger0>many</CustomInteger0><CustomNumber0>1,5</CustomNumber0><CustomBoolean0>perhaps</CustomBoolean0><CustomDate25>31.01.2024</CustomDate25>";
    let (status, text) = write(
        &world,
        &cookie,
        "Insert",
        &(person("K-1", bad) + &person("K-2", "")),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(values(&text, "ExternalSystemId"), ["K-1", "K-2"]);
    assert_eq!(values(&text, "ModId"), ["0", "0"]);
    assert!(!text.contains("ContactLastName"));
    let ids = values(&text, "Id");
    let spec = "searchspec=\"[ExternalSystemId] LIKE 'K-*'\"";
    let columns = "<Id sortorder=\"ASC\"/><ContactLastName/><CustomInteger0/><CustomNumber0/><CustomBoolean0/><CustomDate25/>";
    let (_, text) = page(&world, &cookie, "", spec, columns).await;
    assert_eq!(values(&text, "CustomInteger0"), ["0"]);
    assert_eq!(values(&text, "CustomBoolean0"), ["false"]);
    assert!(
        !text.contains("CustomNumber0") && !text.contains("CustomDate25"),
        "{text}"
    );
    for (records, code) in [
        (person("K-3", "") + &person("K-1", ""), "SBL-DAT-00381"),
        (
            person("K-3", "") + "<Contact><ContactFirstName>Ann</ContactFirstName></Contact>",
            "SBL-DAT-00498",
        ),
        (person("K-3", "<ShoeSize>9</ShoeSize>"), "SBL-EAI-04127"),
        (
            person("K-3", "<ContactType>Friend</ContactType>"),
            "SBL-DAT-00225",
        ),
        (
            person("K-3", "<CreatedDate>2024-01-01T00:00:00Z</CreatedDate>"),
            "SBL-EAI-04375",
        ),
        (
            person("K-3", "")
                + &person(
                    "K-4",
                    &format!("<MiddleName>{}</MiddleName>", "x".repeat(51)),
                ),
            "SBL-DAT-00235",
        ),
        (
            (0..21)
                .map(|n| person(&format!("K-{}", n + 10), ""))
                .collect(),
            "SBL-ODU-01007",
        ),
    ] {
        let (status, text) = write(&world, &cookie, "Insert", &records).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(text.contains(code), "{code}: {text}");
    }
    let (_, text) = page(&world, &cookie, "", spec, "<Id/>").await;
    assert_eq!(values(&text, "Id").len(), 2);
    let update = |key: &str, rest: &str| format!("<Contact>{key}{rest}</Contact>");
    let by_id = format!("<Id>{}</Id>", ids[0]);
    for (records, code) in [
        (update("", "<JobTitle>x</JobTitle>"), "SBL-EAI-04397"),
        (
            update(&by_id, "<JobTitle>x</JobTitle>")
                + &update("<ExternalSystemId>K-2</ExternalSystemId>", ""),
            "SBL-EAI-04390",
        ),
        (
            update(&by_id, "<JobTitle>x</JobTitle>") + &update("<Id>1QA2-3ZZZZZ</Id>", ""),
            "SBL-EAI-04378",
        ),
        (update(&by_id, "<ModId>9</ModId>"), "SBL-DAT-00523"),
    ] {
        let (_, text) = write(&world, &cookie, "Update", &records).await;
        assert!(text.contains(code), "{code}: {text}");
    }
    let (_, text) = write(
        &world,
        &cookie,
        "Update",
        &update(&by_id, "<ModId>0</ModId><JobTitle>Buyer</JobTitle>"),
    )
    .await;
    assert_eq!(values(&text, "ModId"), ["1"], "{text}");
    let mixed = format!(
        "<Contact operation=\"delete\"><Id>{}</Id></Contact><Contact operation=\"update\"><Id>{}</Id><JobTitle/></Contact>",
        ids[1], ids[0]
    );
    let (status, text) = write(&world, &cookie, "Execute", &mixed).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (_, text) = write(&world, &cookie, "Execute", &update(&by_id, "")).await;
    assert!(text.contains("SBL-EAI-04009"), "{text}");
    let (_, text) = page(&world, &cookie, "", spec, "<Id/><JobTitle/>").await;
    assert_eq!(values(&text, "Id"), [ids[0].clone()]);
    assert!(text.contains("<JobTitle/>"));
    let trash = "<DeletedItemWS_DeletedItemQueryPage_Input xmlns=\"urn:crmondemand/ws/deleteditem/\"><PageSize>50</PageSize><ListOfDeletedItem xmlns=\"urn:/crmondemand/xml/deleteditem\"><DeletedItem><ObjectId/><DeletedDate>&gt; '02/03/2024 17:00:00'</DeletedDate><Type>= 'Contact' OR = 'Account'</Type></DeletedItem></ListOfDeletedItem></DeletedItemWS_DeletedItemQueryPage_Input>";
    let (_, text) = call(
        &world,
        &cookie,
        "urn:crmondemand/ws/deleteditem/",
        "DeletedItemQueryPage",
        trash,
    )
    .await;
    assert_eq!(values(&text, "Type"), ["Account", "Contact"], "{text}");
    assert_eq!(values(&text, "ObjectId")[1], ids[1]);
    assert_eq!(values(&text, "ns:LastPage"), ["true"]);
}

#[tokio::test]
async fn generated_contacts_are_changed_and_deleted_like_others() {
    let world = world(Config {
        contacts: 1_000_000,
        ..Config::default()
    })
    .await;
    let cookie = session(&world).await;
    let key = "<ExternalSystemId>Contact-0999999</ExternalSystemId>";
    let (status, text) = write(
        &world,
        &cookie,
        "Update",
        &format!("<Contact>{key}<JobTitle>Last</JobTitle></Contact>"),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let id = values(&text, "Id").remove(0);
    let spec = format!("searchspec=\"[Id] = '{id}'\"");
    let (_, text) = page(
        &world,
        &cookie,
        "",
        &spec,
        "<JobTitle/><ContactEmail/><Id sortorder=\"ASC\"/>",
    )
    .await;
    assert_eq!(values(&text, "JobTitle"), ["Last"]);
    write(
        &world,
        &cookie,
        "Delete",
        &format!("<Contact>{key}</Contact>"),
    )
    .await;
    let (_, text) = page(&world, &cookie, "", &spec, "<Id sortorder=\"ASC\"/>").await;
    assert!(values(&text, "Id").is_empty() && text.contains("lastpage=\"true\""));
}

#[tokio::test]
async fn the_service_api_tells_labels_and_picklists() {
    let world = world(Config::default()).await;
    let cookie = session(&world).await;
    let service = "urn:crmondemand/ws/mapping/";
    let body = format!(
        "<MappingWS_GetMapping_Input xmlns=\"{service}\"><ObjectName>Service Request</ObjectName></MappingWS_GetMapping_Input>"
    );
    let (_, text) = call(&world, &cookie, service, "GetMapping", &body).await;
    assert!(
        text.contains("<ElementName>ServiceRequestId</ElementName><DataType>ID</DataType>"),
        "{text}"
    );
    let service = "urn:crmondemand/ws/picklist/";
    let picklist = |object: &str, field: &str| {
        format!(
            "<PicklistWS_GetPicklistValues_Input xmlns=\"{service}\"><FieldName>{field}</FieldName><RecordType>{object}</RecordType><LanguageCode>DEU</LanguageCode></PicklistWS_GetPicklistValues_Input>"
        )
    };
    let (_, text) = call(
        &world,
        &cookie,
        service,
        "GetPicklistValues",
        &picklist("Account", "AccountType"),
    )
    .await;
    assert_eq!(
        values(&text, "DisplayValue"),
        ["Kunde", "Interessent", "Partner", "Wettbewerber"]
    );
    assert_eq!(values(&text, "Disabled"), ["N", "N", "N", "Y"]);
    let (_, text) = call(
        &world,
        &cookie,
        service,
        "GetPicklistValues",
        &picklist("Contact", "CustomPickList2"),
    )
    .await;
    assert_eq!(values(&text, "ParentCode"), ["DE", "FR"]);
    assert_eq!(
        values(&text, "ParentDisplayValue"),
        ["Deutschland", "Frankreich"]
    );
    let (_, text) = call(
        &world,
        &cookie,
        service,
        "GetPicklistValues",
        &picklist("Contact", "JobTitle"),
    )
    .await;
    assert!(text.contains("SBL-ODS-50731"));
}

#[tokio::test]
async fn insert_or_update_of_v1_speaks_local_dates() {
    let world = world(Config::default()).await;
    let cookie = session(&world).await;
    let service = "urn:crmondemand/ws/contact/";
    let body = |title: &str| {
        format!(
            "<ContactWS_ContactInsertOrUpdate_Input xmlns=\"{service}\"><ListOfContact xmlns=\"urn:/crmondemand/xml/contact\"><Contact><ExternalSystemId>V-1</ExternalSystemId><ContactFirstName>Ann</ContactFirstName><ContactLastName>Doe</ContactLastName><JobTitle>{title}</JobTitle><CustomBoolean0>Y</CustomBoolean0><CustomDate0>07/01/2024 08:30:00</CustomDate0></Contact></ListOfContact></ContactWS_ContactInsertOrUpdate_Input>"
        )
    };
    let (_, first) = call(
        &world,
        &cookie,
        service,
        "ContactInsertOrUpdate",
        &body("a"),
    )
    .await;
    let (_, second) = call(
        &world,
        &cookie,
        service,
        "ContactInsertOrUpdate",
        &body("b"),
    )
    .await;
    assert_eq!(
        values(&first, "ContactId"),
        values(&second, "ContactId"),
        "{second}"
    );
    assert_eq!(values(&second, "ModId"), ["1"]);
    let (_, text) = page(
        &world,
        &cookie,
        "",
        "searchspec=\"[ExternalSystemId] = 'V-1'\"",
        "<JobTitle/><CustomBoolean0/><CustomDate0/>",
    )
    .await;
    assert_eq!(values(&text, "JobTitle"), ["b"]);
    assert_eq!(values(&text, "CustomBoolean0"), ["true"]);
    assert_eq!(values(&text, "CustomDate0"), ["2024-07-01T13:30:00Z"]);
}

#[tokio::test]
async fn faults_on_demand_are_soap_here() {
    let world = world(Config {
        contacts: 20,
        ..Config::default()
    })
    .await;
    let cookie = session(&world).await;
    let whole = page(
        &world,
        &cookie,
        "",
        "",
        "<Id sortorder=\"ASC\"/><ContactLastName/>",
    )
    .await
    .1;
    for (fault, status, sign) in [
        (
            json!({"kind": "status", "status": 500, "error_code": "SBL-ODU-01005"}),
            500,
            "<RequestWait>40</RequestWait>",
        ),
        (
            json!({"kind": "status", "status": 200, "error_code": "SBL-DAT-00553"}),
            200,
            "(SBL-DAT-00553)</siebelf:errorcode>",
        ),
        (json!({"kind": "status"}), 503, "<html>"),
        (json!({"kind": "html"}), 200, "<html>"),
        (json!({"kind": "entity_bomb"}), 200, "<!ENTITY x29"),
        (json!({"kind": "nul"}), 200, "&#0;"),
        (json!({"kind": "unauthorized"}), 500, "SBL-ODU-01006"),
    ] {
        let mut fault = fault;
        fault["path"] = json!(":ContactQueryPage");
        world.fault(fault.clone()).await;
        let (found, text) = page(
            &world,
            &cookie,
            "",
            "",
            "<Id sortorder=\"ASC\"/><ContactLastName/>",
        )
        .await;
        assert_eq!(found.as_u16(), status, "{fault}");
        assert!(text.contains(sign), "{fault}: {text}");
    }
    let cookie = session(&world).await;
    for kind in ["malformed", "short_page"] {
        world
            .fault(json!({"kind": kind, "path": ":ContactQueryPage"}))
            .await;
        let (_, text) = page(
            &world,
            &cookie,
            "",
            "",
            "<Id sortorder=\"ASC\"/><ContactLastName/>",
        )
        .await;
        assert!(text.len() < whole.len(), "{kind}");
        assert_eq!(text.contains("</SOAP-ENV:Envelope>"), kind == "short_page");
    }
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(report["calls"]["soap_query"], 10);
}

#[tokio::test]
async fn rest_describes_page_by_page_to_those_with_a_session() {
    let world = world(Config::default()).await;
    let url = |path: &str| format!("{}/OnDemand/user/Rest{path}", world.sandbox.instance_url);
    let stranger = world.client.get(url("/latest/describe")).send().await;
    assert_eq!(stranger.expect("an answer").status(), StatusCode::FORBIDDEN);
    let oracle = &world.sandbox.oracle;
    let open = world
        .client
        .get(url("/Connection"))
        .basic_auth(&oracle.username, Some(&oracle.password))
        .send()
        .await
        .expect("an answer");
    assert_eq!(open.status(), StatusCode::OK);
    let cookie = open.headers()["set-cookie"].to_str().expect("a text");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let get = async |path: &str| {
        let call = world.client.get(url(path)).header("Cookie", &cookie);
        let answer = call.send().await.expect("an answer");
        let status = answer.status();
        let body: serde_json::Value = answer.json().await.expect("JSON");
        (status, body)
    };
    let (_, all) = get("/latest/describe?limit=100").await;
    assert_eq!(
        all["Resources"].as_object().map(serde_json::Map::len),
        Some(16)
    );
    let mut names = Vec::new();
    loop {
        let path = format!(
            "/latest/Opportunities/describe?fields=attributes&limit=100&offset={}",
            names.len()
        );
        let (status, page) = get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let attributes = page["Resources"]["Opportunities"]["attributes"].as_array();
        names.extend(
            attributes
                .expect("attributes")
                .iter()
                .map(|one| one["name"].clone()),
        );
        if page["_contextInfo"]["lastpage"] == true {
            break;
        }
    }
    assert!(names.len() > 300 && names.contains(&json!("OpportunityName")));
    let (status, _) = get("/latest/Nothing/describe").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for _ in 0..30 {
        get("/latest/Accounts/describe").await;
    }
    let (status, body) = get("/latest/Accounts/describe").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["Error"][0]["errorCode"], "SBL-ODU-01005");
}

#[tokio::test]
async fn the_suffixed_namespace_speaks_the_companys_tags() {
    let world = world(Config::default()).await;
    let cookie = session(&world).await;
    let service = "urn:crmondemand/ws/ecbs/contact/10/2004";
    let record = |tag: &str| {
        format!(
            "<ContactInsert_Input xmlns=\"{service}\"><ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Data\"><Contact><ContactFirstName>C</ContactFirstName><ContactLastName>Custom</ContactLastName><{tag}>7</{tag}></Contact></ListOfContact></ContactInsert_Input>"
        )
    };
    let (status, answer) = call(
        &world,
        &cookie,
        service,
        "ContactInsert",
        &record("iVisits"),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (_, refused) = call(
        &world,
        &cookie,
        service,
        "ContactInsert",
        &record("CustomInteger0"),
    )
    .await;
    assert!(refused.contains("SBL-EAI-04127"), "{refused}");
    let query = format!(
        "<ContactQueryPage_Input xmlns=\"{service}\"><ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Query\"><Contact searchspec=\"[iVisits] = '7'\"><Id/><iVisits/></Contact></ListOfContact></ContactQueryPage_Input>"
    );
    let (status, found) = call(&world, &cookie, service, "ContactQueryPage", &query).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert!(found.contains("<iVisits>7</iVisits>"), "{found}");
    assert!(
        found.contains(&format!("xmlns:ns=\"{service}\"")),
        "{found}"
    );
    let (_, generic) = page(
        &world,
        &cookie,
        "",
        "searchspec=\"[CustomInteger0] = '7'\"",
        "<Id/><CustomInteger0/>",
    )
    .await;
    assert!(
        generic.contains("<CustomInteger0>7</CustomInteger0>"),
        "{generic}"
    );
}
