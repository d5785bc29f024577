//! The Organization service, what the deployments answer to strangers, and limits.

use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::dynamics::{Answer, World, read, world};

const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
const PATH: &str = "/XRMServices/2011/Organization.svc";

/// A message of SOAP 1.1, signed in by a bearer token.
async fn call(world: &World, operation: &str, body: &str) -> Answer {
    let url = format!("{}{PATH}/web", world.sandbox.instance_url);
    let envelope = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><{operation} xmlns=\"{SERVICES}\" xmlns:b=\"http://schemas.microsoft.com/xrm/2011/Contracts\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:c=\"http://schemas.datacontract.org/2004/07/System.Collections.Generic\" xmlns:x=\"http://www.w3.org/2001/XMLSchema\">{body}</{operation}></s:Body></s:Envelope>"
    );
    read(
        world
            .client
            .post(url)
            .bearer_auth(&world.token)
            .header("Content-Type", "text/xml; charset=utf-8")
            .header(
                "SOAPAction",
                format!("\"{SERVICES}/IOrganizationService/{operation}\""),
            )
            .body(envelope),
    )
    .await
}

async fn fetch(world: &World, text: &str) -> Answer {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!("<query i:type=\"b:FetchExpression\"><b:Query>{escaped}</b:Query></query>");
    call(world, "RetrieveMultiple", &body).await
}

/// Identifiers of the rows of an answer, in order.
fn ids(text: &str) -> Vec<String> {
    text.split("<b:Id>")
        .skip(1)
        // The identifiers of references stand in values.
        .filter(|part| part[36..].contains("<b:LogicalName>new_alltypes</b:LogicalName>"))
        .map(|part| part[..36].to_owned())
        .filter(|id| id.starts_with("0000273a"))
        .collect()
}

fn code(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("<ErrorCode>")?;
    rest.split_once('<')?.0.parse().ok()
}

async fn admin(world: &World, method: Method, path: &str, body: Value) -> Answer {
    let url = format!("{}/dynamics{path}", world.sandbox.admin_url);
    read(world.client.request(method, url).json(&body)).await
}

#[tokio::test]
async fn fetch_and_filter_find_the_same_rows() {
    let world = world(Config::default()).await;
    let pairs = [
        (
            "new_name eq 'everything'",
            "<condition attribute='new_name' operator='eq' value='everything'/>",
        ),
        (
            "new_whole ne 42",
            "<condition attribute='new_whole' operator='ne' value='42'/>",
        ),
        (
            "new_whole gt 0",
            "<condition attribute='new_whole' operator='gt' value='0'/>",
        ),
        (
            "new_decimal le 12345.67891",
            "<condition attribute='new_decimal' operator='le' value='12345.67891'/>",
        ),
        (
            "new_when ge 2024-01-01T00:00:00Z",
            "<condition attribute='new_when' operator='ge' value='2024-01-01T00:00:00Z'/>",
        ),
        (
            "new_day eq 2024-02-29",
            "<condition attribute='new_day' operator='eq' value='2024-02-29'/>",
        ),
        (
            "new_yesno eq false",
            "<condition attribute='new_yesno' operator='eq' value='0'/>",
        ),
        (
            "new_choice eq 100000001",
            "<condition attribute='new_choice' operator='eq' value='100000001'/>",
        ),
        (
            "new_memo eq null",
            "<condition attribute='new_memo' operator='null'/>",
        ),
        (
            "startswith(new_name,'every')",
            "<condition attribute='new_name' operator='begins-with' value='every'/>",
        ),
        (
            "not startswith(new_name,'every')",
            "<condition attribute='new_name' operator='not-like' value='every%'/>",
        ),
        (
            "contains(new_name,'[%]')",
            "<condition attribute='new_name' operator='like' value='%[%]%'/>",
        ),
        (
            "new_whole eq 42 or new_big gt 9007199254740993",
            "<filter type='or'><condition attribute='new_whole' operator='eq' value='42'/><condition attribute='new_big' operator='gt' value='9007199254740993'/></filter>",
        ),
        (
            "new_AccountId/name ne null",
            "<condition attribute='new_accountid' operator='not-null'/>",
        ),
    ];
    for (filter, condition) in pairs {
        let encoded: String = filter
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        let rows = world
            .get(&format!(
                "/new_alltypeses?$select=new_name&$filter={encoded}"
            ))
            .await;
        let expected: Vec<String> = rows.body["value"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["new_alltypesid"].as_str().expect("an id").to_owned())
            .collect();
        let answer = fetch(
            &world,
            &format!("<fetch><entity name='new_alltypes'><attribute name='new_name'/><filter>{condition}</filter></entity></fetch>"),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK, "{filter}: {}", answer.text);
        assert!(!expected.is_empty(), "{filter} finds something");
        assert_eq!(ids(&answer.text), expected, "{filter}");
    }
    for (text, expected) in [
        ("<fetch><entity name='nothing'/></fetch>", -2_147_217_150),
        (
            "<fetch><entity name='account'><attribute name='x'/></entity></fetch>",
            -2_147_217_149,
        ),
        (
            "<fetch><entity name='account'><filter><condition attribute='name' operator='is'/></filter></entity></fetch>",
            -2_147_217_122,
        ),
        (
            "<fetch count='0'><entity name='account'/></fetch>",
            -2_147_220_989,
        ),
        ("<fetch", -2_147_220_991),
    ] {
        let answer = fetch(&world, text).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            code(&answer.text),
            Some(expected),
            "{text}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_by_their_cookie() {
    let world = world(Config {
        contacts: 2_000,
        ..Config::default()
    })
    .await;
    let mut seen = Vec::new();
    let mut cookie = String::new();
    for page in 1.. {
        let text = format!(
            "<fetch count='700' page='{page}'{cookie}><entity name='contact'><attribute name='contactid'/></entity></fetch>"
        );
        let answer = fetch(&world, &text).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        seen.extend(
            answer
                .text
                .split("<b:Id>")
                .skip(1)
                .map(|part| part[..36].to_owned()),
        );
        let (_, rest) = answer
            .text
            .split_once("<b:PagingCookie>")
            .expect("a cookie");
        let (shown, _) = rest.split_once("</b:PagingCookie>").expect("its end");
        let plain = shown
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
        let attribute = plain.replace('<', "&lt;").replace('"', "&quot;");
        cookie = format!(" paging-cookie=\"{attribute}\"");
        if answer.text.contains("<b:MoreRecords>false") {
            break;
        }
    }
    let count = admin(
        &world,
        Method::GET,
        "/record_count?object=contact",
        Value::Null,
    )
    .await;
    assert_eq!(json!(seen.len()), count.body["count"]);
    seen.sort();
    seen.dedup();
    assert_eq!(json!(seen.len()), count.body["count"], "no row twice");
}

#[tokio::test]
async fn what_is_out_of_place_is_not_read_and_told_to_tests() {
    let world = world(Config::default()).await;
    let attributes = "<b:Attributes><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value i:type=\"x:string\">A</c:value></b:KeyValuePairOfstringanyType></b:Attributes>";
    let name = "<b:LogicalName>account</b:LogicalName>";
    let made = call(
        &world,
        "Create",
        &format!("<entity>{attributes}{name}</entity>"),
    )
    .await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let (_, id) = made.text.split_once("<CreateResult>").expect("an id");
    let id = &id[..36];

    let wrong = call(
        &world,
        "Create",
        &format!("<Entity>{attributes}{name}</Entity>"),
    )
    .await;
    assert!(
        wrong.text.contains("Value cannot be null"),
        "{}",
        wrong.text
    );
    // The name comes too early: the values behind it are passed over.
    let empty = call(
        &world,
        "Create",
        &format!("<entity>{name}{attributes}</entity>"),
    )
    .await;
    assert_eq!(empty.status, StatusCode::OK);
    let report = admin(&world, Method::GET, "/soap", Value::Null).await;
    assert_eq!(
        report.body["misplaced"],
        json!(["Entity in Create", "Attributes in entity"])
    );
    let mistyped = attributes
        .replace("x:string", "x:int")
        .replace(">A<", ">1<");
    let answer = call(
        &world,
        "Create",
        &format!("<entity>{mistyped}{name}</entity>"),
    )
    .await;
    assert_eq!(code(&answer.text), Some(-2_147_220_989));
    let unknown = attributes.replace("x:string", "b:Nothing");
    let answer = call(
        &world,
        "Create",
        &format!("<entity>{unknown}{name}</entity>"),
    )
    .await;
    assert!(
        answer.text.contains("InternalServiceFault"),
        "{}",
        answer.text
    );

    let update = format!(
        "<entity>{}<b:Id>{id}</b:Id>{name}</entity>",
        attributes.replace(">A<", ">B<")
    );
    assert_eq!(call(&world, "Update", &update).await.status, StatusCode::OK);
    let row = world.get(&format!("/accounts({id})?$select=name")).await;
    assert_eq!(row.body["name"], "B", "both ways lead to the same rows");
    let writes = admin(&world, Method::GET, "/requests", Value::Null).await;
    assert_eq!(writes.body["writes"]["created"], 2);
    assert_eq!(writes.body["calls"]["dynamics_write"], 6);
}

#[tokio::test]
async fn each_deployment_tells_strangers_how_to_sign_in() {
    let world = world(Config::default()).await;
    let get = |path: &str| {
        let url = format!("{}{path}", world.sandbox.instance_url);
        read(world.client.get(url))
    };
    for (deployment, status, scheme, policy) in [
        ("", 401, "Bearer", "OnlineFederation"),
        ("/ad", 401, "Negotiate", "ActiveDirectory"),
        ("/ifd", 401, "Bearer", "Federation"),
        ("/claims", 302, "", "Federation"),
        ("/crm2015", 404, "", "ActiveDirectory"),
    ] {
        let answer = get(&format!("{deployment}/api/data/v9.0/WhoAmI")).await;
        assert_eq!(answer.status.as_u16(), status, "{deployment}");
        let offered = answer
            .headers
            .get("www-authenticate")
            .map_or("", |value| value.to_str().expect("a text"));
        assert!(offered.starts_with(scheme), "{deployment}: {offered}");
        let wsdl = get(&format!("{deployment}{PATH}?wsdl")).await;
        assert_eq!(wsdl.status, StatusCode::OK);
        let says = format!("<ms-xrm:Authentication>{policy}</ms-xrm:Authentication>");
        assert!(wsdl.text.contains(&says), "{deployment}: {}", wsdl.text);
    }
    let metadata = world.get("/$metadata").await;
    assert!(
        metadata
            .text
            .contains("<NavigationProperty Name=\"parentcustomerid_account\"")
    );
}

#[tokio::test]
async fn a_window_takes_so_many_requests() {
    let world = world(Config::default()).await;
    let limits = json!({"requests": 2, "window_s": 300, "used": 1});
    let set = admin(&world, Method::POST, "/limits", limits).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT);
    let first = world.get("/WhoAmI").await;
    assert_eq!(
        first.headers["x-ms-ratelimit-burst-remaining-xrm-requests"],
        "0"
    );
    let answer = world.get("/WhoAmI").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.body["error"]["code"], "0x80072322");
    let wait: u64 = answer.headers["retry-after"]
        .to_str()
        .expect("a text")
        .parse()
        .expect("seconds");
    assert!((290..=300).contains(&wait), "{wait}");
    let answer = fetch(&world, "<fetch><entity name='account'/></fetch>").await;
    assert_eq!(code(&answer.text), Some(-2_147_015_902));
    assert!(answer.text.contains("PT"), "{}", answer.text);
    admin(
        &world,
        Method::POST,
        "/limits",
        json!({"duplicate_status": 412}),
    )
    .await;
    assert_eq!(world.get("/WhoAmI").await.status, StatusCode::OK);
}

#[tokio::test]
async fn faults_strike_soap_by_operation_message_and_table() {
    let world = world(Config::default()).await;
    let rule = |path: &str, kind: &str| json!({"path": path, "kind": kind});
    let one = "<fetch count='2'><entity name='new_alltypes'><all-attributes/></entity></fetch>";
    for (path, kind) in [
        (":RetrieveMultiple", "short_page"),
        ("fetch:new_alltypes", "wrong_types"),
    ] {
        admin(&world, Method::POST, "/faults", rule(path, kind)).await;
        assert_eq!(
            fetch(&world, "<fetch><entity name='account'/></fetch>")
                .await
                .status,
            StatusCode::OK
        );
        let answer = fetch(&world, one).await;
        match kind {
            "short_page" => assert_eq!(ids(&answer.text).len(), 2, "the other query was met"),
            _ => assert!(
                answer.text.contains("i:type=\"x:int\">twelve<"),
                "{}",
                answer.text
            ),
        }
    }
    let status = json!({"path": "/Organization.svc", "kind": "status", "status": 500, "error_code": "0x80044150"});
    admin(&world, Method::POST, "/faults", status).await;
    let answer = fetch(&world, one).await;
    assert_eq!(code(&answer.text), Some(-2_147_204_784));
    admin(
        &world,
        Method::POST,
        "/faults",
        rule("/Organization.svc", "unauthorized"),
    )
    .await;
    let answer = fetch(&world, one).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        fetch(&world, one).await.status,
        StatusCode::UNAUTHORIZED,
        "the token is gone"
    );
}

#[tokio::test]
async fn the_web_api_takes_fetch_xml_and_tells_the_cookie_when_asked() {
    let world = world(Config::default()).await;
    let ask = |text: &str| {
        let path = format!(
            "/new_alltypeses?fetchXml={}",
            text.bytes()
                .map(|b| format!("%{b:02X}"))
                .collect::<String>()
        );
        let prefer = "odata.include-annotations=\"Microsoft.Dynamics.CRM.*\"";
        let world = &world;
        async move { world.call(Method::GET, &path, prefer, None).await }
    };
    let first = ask("<fetch count='4'><entity name='new_alltypes'><attribute name='new_name'/><attribute name='new_memo'/></entity></fetch>").await;
    let rows = first.body["value"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    assert!(rows[1].get("new_memo").is_none(), "nulls are left out");
    assert_eq!(first.body["@Microsoft.Dynamics.CRM.morerecords"], true);
    let cookie = first.body["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str();
    let cookie = cookie.expect("a cookie");
    assert!(
        cookie.starts_with("<cookie pagenumber=\"2\" pagingcookie=\"%253Ccookie"),
        "{cookie}"
    );
    let count = ask("<fetch aggregate='true'><entity name='new_alltypes'><attribute name='new_memo' aggregate='countcolumn' alias='n'/></entity></fetch>").await;
    assert_eq!(count.body["value"][0]["n"], 1);
    let other = ask("<fetch><entity name='account'/></fetch>").await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_wide_table_fits_into_a_batch_but_not_into_an_address() {
    let world = world(Config::default()).await;
    let described = world
        .get("/EntityDefinitions(LogicalName='new_wide')/Attributes?$select=LogicalName")
        .await;
    let names: Vec<&str> = described.body["value"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| column["LogicalName"].as_str().expect("a name"))
        .collect();
    let path = format!("/new_wides?$select={}", names.join(","));
    let alone = world.get(&path).await;
    assert_eq!(alone.status, StatusCode::URI_TOO_LONG);
    let body = format!(
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET /api/data/v9.2{path} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n--b--\r\n"
    );
    let call = world
        .client
        .post(format!(
            "{}/api/data/v9.2/$batch",
            world.sandbox.instance_url
        ))
        .bearer_auth(&world.token)
        .header("Content-Type", "multipart/mixed; boundary=b")
        .body(body);
    let batch = read(call).await;
    assert_eq!(batch.status, StatusCode::OK);
    assert!(
        batch.text.contains("HTTP/1.1 200 OK"),
        "{}",
        &batch.text[..300]
    );
    assert!(batch.text.contains("\"new_name\":\"Wide 3\""));
}
