//! Roles that are not superuser: their own secrets, and nobody else's (A-2, A-5).

use crm_sandbox::Config;
use crm_tests::{Bench, Database, literal};

use crate::is_told;

/// An ordinary role that may use the bench's schema and wrapper, and its session.
async fn ordinary(bench: &Bench, label: &str) -> (String, Database) {
    let role = format!("{}_{label}", bench.name);
    bench
        .run_alone(&format!(
            "CREATE ROLE {role} LOGIN;
             GRANT ALL ON SCHEMA {0} TO {role};
             GRANT USAGE ON SCHEMA crm TO {role};
             GRANT USAGE ON FOREIGN DATA WRAPPER salesforce TO {role}",
            bench.name
        ))
        .await;
    let session = Database::connect(Some(&role)).await;
    session
        .run(&format!("SET search_path = {}, public", bench.name))
        .await;
    (role, session)
}

async fn forget(bench: &Bench, roles: &[&str]) {
    for role in roles {
        bench
            .run_alone(&format!(
                "SET LOCAL client_min_messages = error; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
            ))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_must_bring_its_own_secret() {
    let bench = Bench::plain("own_secret").await;
    bench.import(&["Account"]).await;
    let (role, session) = ordinary(&bench, "r").await;
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "GRANT USAGE ON FOREIGN SERVER {name} TO {role}; GRANT SELECT ON account TO {role}"
        ))
        .await;
    let sql = "SELECT count(name) FROM account";
    let refusal = session.refused(sql).await;
    is_told(sql, &refusal, "42704", "user mapping not found", "");
    session
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (username 'somebody', client_id 'x')"
        ))
        .await;
    bench.admin.clear_counters().await;
    let refusal = session.refused(sql).await;
    is_told(
        sql,
        &refusal,
        "42501",
        "a password is required",
        "its own user mapping",
    );
    assert_eq!(bench.admin.all_calls().await, 0);
    // Nor can it waive that for itself, nor read a file of the server.
    for option in [
        "password_required 'false'",
        "private_key_file '/etc/passwd'",
    ] {
        let alter =
            format!("ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (ADD {option})");
        let refusal = session.refused(&alter).await;
        is_told(
            &alter,
            &refusal,
            "42501",
            "only a superuser may set option",
            "",
        );
    }
    session
        .run(&format!(
            "DROP USER MAPPING FOR CURRENT_USER SERVER {name};
             CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({})",
            bench.password_mapping()
        ))
        .await;
    let all = bench.db.value(sql).await;
    assert_eq!(session.value(sql).await, all);
    session.is_alive().await;
    drop(session);
    forget(&bench, &[&role]).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_may_waive_the_secret() {
    let bench = Bench::plain("waived").await;
    bench.import(&["Account"]).await;
    let (role, session) = ordinary(&bench, "r").await;
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "GRANT SELECT ON account TO {role};
             CREATE USER MAPPING FOR {role} SERVER {name} OPTIONS (username 'somebody', password_required 'false')"
        ))
        .await;
    // It goes on to the next thing that is missing.
    let sql = "SELECT count(name) FROM account";
    let refusal = session.refused(sql).await;
    assert_eq!(refusal.sqlstate, "HV00J", "{refusal:?}");
    drop(session);
    forget(&bench, &[&role]).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_superuser_names_files_and_proxies() {
    let bench = Bench::bare("files", Config::default()).await;
    let (role, session) = ordinary(&bench, "r").await;
    let name = &bench.name;
    for option in [
        "ca_file '/etc/ssl/certs/x.pem'",
        "proxy 'https://127.0.0.1:9'",
    ] {
        let sql = format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com', {option})"
        );
        let refusal = session.refused(&sql).await;
        is_told(
            &sql,
            &refusal,
            "42501",
            "only a superuser may set option",
            "",
        );
    }
    session
        .run(&format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com')"
        ))
        .await;
    let sql = format!("ALTER SERVER {name} OPTIONS (ADD ca_file '/etc/passwd')");
    let refusal = session.refused(&sql).await;
    is_told(
        &sql,
        &refusal,
        "42501",
        "only a superuser may set option \"ca_file\"",
        "",
    );
    session.is_alive().await;
    drop(session);
    forget(&bench, &[&role]).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_moves_a_server_does_not_get_the_secrets_of_others() {
    let bench = Bench::bare("moved", Config::default()).await;
    let (owner, owners_session) = ordinary(&bench, "owner").await;
    let (user, users_session) = ordinary(&bench, "user").await;
    let name = &bench.name;
    let mapping = bench.password_mapping();
    owners_session
        .run(&format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com');
             GRANT USAGE ON FOREIGN SERVER {name} TO {user};
             CREATE FOREIGN TABLE account (id text OPTIONS (field 'Id')) SERVER {name} OPTIONS (object 'Account');
             GRANT SELECT ON account TO {user}"
        ))
        .await;
    users_session
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({mapping})"
        ))
        .await;
    // The owner moves the server to a host of the owner's own choice.
    owners_session
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (SET url {})",
            literal(&bench.sandbox.login_url)
        ))
        .await;
    bench.admin.clear_counters().await;
    for sql in [
        "SELECT count(id) FROM account".to_owned(),
        format!("SELECT * FROM crm.check('{name}')"),
        format!("SELECT * FROM crm.tables('{name}')"),
    ] {
        let refusal = users_session.refused(&sql).await;
        is_told(
            &sql,
            &refusal,
            "42501",
            "is not sent to the host of server",
            "superuser",
        );
    }
    assert_eq!(bench.admin.all_calls().await, 0);
    // A superuser's own mapping is no exception.
    bench
        .db
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({mapping})"
        ))
        .await;
    let sql = format!("SELECT * FROM crm.check('{name}')");
    let refusal = bench.db.refused(&sql).await;
    is_told(
        &sql,
        &refusal,
        "42501",
        "is not sent to the host of server",
        "superuser",
    );
    assert_eq!(bench.admin.all_calls().await, 0);
    // A superuser who takes the server over vouches for the host.
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OWNER TO CURRENT_USER;
             ALTER SERVER {name} OPTIONS (ADD ca_file {})",
            literal(bench.ca_file())
        ))
        .await;
    assert_ne!(
        users_session.value("SELECT count(id) FROM account").await,
        "0"
    );
    drop((owners_session, users_session));
    bench
        .db
        .run(&format!(
            "SET client_min_messages = error; DROP SERVER {name} CASCADE"
        ))
        .await;
    forget(&bench, &[&user, &owner]).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_reads_with_the_sign_in_of_its_owner() {
    let bench = Bench::plain("view").await;
    bench.import(&["Account"]).await;
    let (role, session) = ordinary(&bench, "r").await;
    bench
        .db
        .run(&format!(
            "CREATE VIEW names AS SELECT name FROM account; GRANT SELECT ON names TO {role}"
        ))
        .await;
    let all = bench.db.value("SELECT count(name) FROM account").await;
    assert_eq!(session.value("SELECT count(name) FROM names").await, all);
    let refusal = session.refused("SELECT name FROM account").await;
    assert_eq!(refusal.sqlstate, "42501", "{refusal:?}");
    // Who is signed in is shown to the role itself and to superusers.
    assert_eq!(
        session.rows("SELECT * FROM crm.connections()").await.len(),
        0
    );
    drop(session);
    forget(&bench, &[&role]).await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roles_of_one_session_do_not_share_a_sign_in() {
    let bench = Bench::plain("switch").await;
    bench.import(&["Account"]).await;
    let (role, session) = ordinary(&bench, "r").await;
    drop(session);
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "GRANT SELECT ON account TO {role};
             CREATE USER MAPPING FOR {role} SERVER {name} OPTIONS ({})",
            bench.mapping_with_password("TEST-not-mine")
        ))
        .await;
    let sql = "SELECT count(name) FROM account";
    bench.db.value(sql).await;
    bench.db.run(&format!("SET ROLE {role}")).await;
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, "28000", "{refusal:?}");
    bench.db.run("RESET ROLE").await;
    bench.db.value(sql).await;
    forget(&bench, &[&role]).await;
    bench.finish_with_secrets(&["TEST-not-mine"]).await;
}
