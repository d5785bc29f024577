//! Sign-in: refused once and never again, renewed when it ends, followed when it is altered.

use crm_sandbox::Config;
use crm_tests::{Bench, literal};
use serde_json::json;

use crate::fails;

async fn logins(bench: &Bench) -> u64 {
    bench.admin.calls("login").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_sent_once_and_a_right_one_works_at_once() {
    let bench = Bench::bare("password", Config::default()).await;
    bench.create_server("").await;
    let (name, wrong) = (&bench.name, "TEST-wrong-Wort");
    let mapping = bench.mapping_with_password(wrong);
    bench
        .db
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({mapping});
             CREATE FOREIGN TABLE account (id text OPTIONS (field 'Id'), name text OPTIONS (field 'Name'))
                 SERVER {name} OPTIONS (object 'Account')"
        ))
        .await;
    let first = fails(&bench, "SELECT * FROM account", "28000", "refused", "").await;
    assert!(first.detail.contains("invalid_grant"), "{first:?}");
    assert_eq!(logins(&bench).await, 1, "no retry: accounts lock");
    // Whatever is asked next in this session, the password is not sent again.
    for sql in [
        "SELECT * FROM account".to_owned(),
        "SELECT count(*) FROM account".to_owned(),
        format!("SELECT * FROM crm.tables('{name}')"),
        format!("SELECT * FROM crm.check('{name}')"),
    ] {
        let again = fails(&bench, &sql, "28000", "refused", "").await;
        assert_eq!(again.detail, first.detail, "{sql}");
    }
    assert_eq!(logins(&bench).await, 1);
    assert_eq!(bench.admin.data_calls().await, 0);
    let refused = bench.admin.requests().await["logins"]["refused"].clone();
    assert_eq!(refused, json!(1));

    // A corrected mapping takes effect in the same session, at once; so does a spoilt one.
    let right = literal(&bench.sandbox.credentials.password);
    let alter = |password: &str| {
        format!(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (SET password {password})"
        )
    };
    bench.db.run(&alter(&right)).await;
    assert!(!bench.db.rows("SELECT * FROM account").await.is_empty());
    assert_eq!(logins(&bench).await, 2);
    bench.db.rows("SELECT * FROM account").await;
    assert_eq!(logins(&bench).await, 2, "a token is kept");
    bench.db.run(&alter(&literal(wrong))).await;
    fails(&bench, "SELECT * FROM account", "28000", "refused", "").await;
    assert_eq!(logins(&bench).await, 3);
    bench.db.run(&alter(&right)).await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (SET request_timeout '59')"
        ))
        .await;
    assert!(!bench.db.rows("SELECT * FROM account").await.is_empty());
    bench.finish_with_secrets(&[wrong]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_alter_leaves_the_sign_in_as_it_was() {
    let bench = Bench::plain("rollback").await;
    bench.import(&["Account"]).await;
    bench
        .db
        .run(&format!(
            "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER {} OPTIONS (SET password 'TEST-rolled-back')",
            bench.name
        ))
        .await;
    let refusal = bench.db.refused("SELECT name FROM account").await;
    assert_eq!(refusal.sqlstate, "28000", "{refusal:?}");
    bench.db.run("ROLLBACK").await;
    assert!(!bench.db.rows("SELECT name FROM account").await.is_empty());
    bench.finish_with_secrets(&["TEST-rolled-back"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_once_and_the_page_asked_for_again() {
    let bench = Bench::start(
        "expiry",
        Config {
            contacts: 9_000,
            ..Config::default()
        },
    )
    .await;
    bench.import(&["Contact"]).await;
    let count = bench.db.value("SELECT count(*) FROM contact").await;
    bench.admin.clear_counters().await;
    bench.admin.expire_tokens().await;
    assert_eq!(
        bench.db.value("SELECT count(name) FROM contact").await,
        count
    );
    assert_eq!(logins(&bench).await, 1);
    // In the middle of a scan.
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "unauthorized", "after": 2}))
        .await;
    bench.admin.clear_counters().await;
    assert_eq!(
        bench
            .db
            .value("SELECT count(DISTINCT id) FROM contact")
            .await,
        count
    );
    assert_eq!(logins(&bench).await, 1);
    // A new token that is not taken either is the end of it.
    bench
        .admin
        .fault(json!({"path": "/query", "kind": "unauthorized", "times": 0}))
        .await;
    bench.admin.clear_counters().await;
    fails(
        &bench,
        "SELECT name FROM contact",
        "28000",
        "\"Contact\"",
        "",
    )
    .await;
    assert_eq!(logins(&bench).await, 1);
    assert_eq!(bench.admin.data_calls().await, 2);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_sign_in_reads() {
    let bench = Bench::bare("forms", Config::default()).await;
    let credentials = bench.sandbox.credentials.clone();
    let of = |name: &str, value: &str| format!("{name} {}", literal(value));
    let username = of("username", &credentials.username);
    let password = of("password", &credentials.password);
    let security_token = of("security_token", &credentials.security_token);
    let client_id = of("client_id", &credentials.client_id);
    let client_secret = of("client_secret", &credentials.client_secret);
    let joined_password = of(
        "password",
        &format!("{}{}", credentials.password, credentials.security_token),
    );
    let (login, instance) = (&bench.sandbox.login_url, &bench.sandbox.instance_url);
    for (number, (auth, url, mapping)) in [
        (
            "password",
            login,
            vec![
                &username,
                &password,
                &security_token,
                &client_id,
                &client_secret,
            ],
        ),
        (
            "password",
            login,
            vec![&username, &joined_password, &client_id, &client_secret],
        ),
        ("soap", login, vec![&username, &password, &security_token]),
        (
            "client_credentials",
            instance,
            vec![&client_id, &client_secret],
        ),
        (
            "refresh_token",
            login,
            vec![
                &client_id,
                &client_secret,
                &of("refresh_token", &credentials.refresh_token),
            ],
        ),
        (
            "jwt",
            login,
            vec![
                &username,
                &client_id,
                &of("private_key", &credentials.private_key),
            ],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mapping: Vec<_> = mapping.into_iter().map(String::as_str).collect();
        let server = format!("{}_{number}", bench.name);
        bench
            .db
            .run(&bench.create_server_sql(&server, url, ""))
            .await;
        bench
            .db
            .run(&format!(
                "CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS ({})",
                mapping.join(", ")
            ))
            .await;
        let sql = format!(
            "SELECT auth, user_name, organization IN ('CRM Sandbox Test Org', '00D5x0000000001EAA')
             FROM crm.check('{server}')"
        );
        let rows = bench.db.rows(&sql).await;
        let expected = [auth, &credentials.username, "t"];
        let expected: Vec<_> = expected
            .iter()
            .map(|text| Some((*text).to_owned()))
            .collect();
        assert_eq!(rows, [expected], "the form follows from the options given");
        let tables = format!("SELECT count(*) FROM crm.tables('{server}')");
        assert_ne!(bench.db.value(&tables).await, "0");
        bench.db.run(&format!("DROP SERVER {server} CASCADE")).await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sign_ins_say_why() {
    let bench = Bench::bare("refused", Config::default()).await;
    let credentials = bench.sandbox.credentials.clone();
    bench.create_server("").await;
    let name = &bench.name;
    let (id, secret) = (&credentials.client_id, &credentials.client_secret);
    let password = literal(&credentials.password);
    let token = &credentials.security_token;
    for (mapping, detail) in [
        (
            format!(
                "username 'nobody@crm-sandbox.example', password {password}, security_token '{token}', client_id '{id}', client_secret '{secret}'"
            ),
            "authentication failure",
        ),
        (
            format!(
                "username '{}', password {password}, security_token '{token}'",
                credentials.expired_username
            ),
            "",
        ),
        (
            format!(
                "username '{}', password 'TEST-no', security_token '{token}'",
                credentials.username
            ),
            "INVALID_LOGIN",
        ),
        (
            format!("client_id '{id}', client_secret '{secret}'"),
            "request not supported on this domain",
        ),
        (
            format!(
                "client_id '{id}', client_secret 'TEST-bad-secret', refresh_token 'TEST-bad-token'"
            ),
            "invalid client credentials",
        ),
        (
            format!("client_id '{id}', client_secret '{secret}', refresh_token 'TEST-bad-token'"),
            "expired access/refresh token",
        ),
        (
            format!(
                "client_id 'TEST-other-id', username '{}', private_key {}",
                credentials.username,
                literal(&credentials.private_key)
            ),
            "invalid assertion",
        ),
    ] {
        bench
            .db
            .run(&format!(
                "CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({mapping})"
            ))
            .await;
        bench.admin.clear_counters().await;
        let sql = format!("SELECT * FROM crm.check('{name}')");
        let refusal = fails(&bench, &sql, "28000", name, "").await;
        assert!(refusal.detail.contains(detail), "{refusal:?}");
        assert_eq!(logins(&bench).await, 1, "{refusal:?}");
        assert_eq!(bench.admin.all_calls().await, 1, "{refusal:?}");
        bench
            .db
            .run(&format!("DROP USER MAPPING FOR CURRENT_USER SERVER {name}"))
            .await;
    }
    // A key that is none is found before anything is sent.
    bench
        .db
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name}
             OPTIONS (client_id '{id}', username 'x', private_key 'TEST-no-key')"
        ))
        .await;
    bench.admin.clear_counters().await;
    let refusal = bench
        .db
        .refused(&format!("SELECT * FROM crm.check('{name}')"))
        .await;
    assert!(refusal.message.contains("private_key"), "{refusal:?}");
    assert_eq!(bench.admin.all_calls().await, 0);
    bench
        .finish_with_secrets(&["TEST-no", "TEST-bad-secret", "TEST-bad-token"])
        .await;
}
