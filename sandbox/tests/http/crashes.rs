//! Writes whose answer never comes: what was done and what was not, as the fault says.

use crate::common::{V, World, world};
use crm_sandbox::Config;
use reqwest::Method;
use serde_json::{Value, json};

async fn write(world: &World, name: &str) -> Result<u16, reqwest::Error> {
    world
        .send(
            Method::POST,
            &format!("{V}/composite/sobjects"),
            Some(json!({"records": [{"attributes": {"type": "Account"}, "Name": name}]})),
        )
        .await
        .map(|answer| answer.status().as_u16())
}

async fn found(world: &World, name: &str) -> usize {
    let path = format!("/find?object=Account&field=Name&value={name}");
    let found = world.admin(Method::GET, &path, None).await;
    found["ids"].as_array().expect("ids").len()
}

#[tokio::test]
async fn a_fault_before_the_write_leaves_nothing_and_one_after_it_leaves_all() {
    let mut world = world(Config::default()).await;
    for (name, fault, answered, written) in [
        ("lost", json!({"kind": "lose_reply"}), false, 1),
        ("cut", json!({"kind": "cut", "bytes": 5}), true, 1),
        ("malformed", json!({"kind": "malformed"}), true, 1),
        ("refused", json!({"kind": "status", "status": 503}), true, 0),
        ("html", json!({"kind": "html"}), true, 0),
        ("expired", json!({"kind": "unauthorized"}), true, 0),
    ] {
        let mut fault: Value = fault;
        fault["path"] = "/composite/sobjects".into();
        world.fault(fault).await;
        assert_eq!(write(&world, name).await.is_ok(), answered, "{name}");
        assert_eq!(found(&world, name).await, written, "{name}");
        if name == "expired" {
            let (_, answer) = world.sign_in(&world.sandbox.credentials.username).await;
            world.token = answer["access_token"].as_str().unwrap().to_owned();
        }
    }
    assert_eq!(write(&world, "afterwards").await.unwrap(), 200);
}

#[tokio::test]
async fn a_held_write_waits_on_either_side() {
    let world = world(Config::default()).await;
    for (at, while_held) in [("before", 0), ("after", 1)] {
        world
            .fault(json!({"path": "/composite/sobjects", "kind": "hold", "at": at}))
            .await;
        let (answer, ()) = tokio::join!(write(&world, at), async {
            let held = world.admin(Method::GET, "/held?wait_ms=20000", None).await;
            assert_eq!(held["held"][0]["at"], at);
            assert_eq!(held["held"][0]["method"], "POST");
            assert_eq!(found(&world, at).await, while_held, "{at}");
            let released = world.admin(Method::POST, "/release", None).await;
            assert_eq!(released["released"], 1);
        });
        assert_eq!(answer.unwrap(), 200, "{at}");
        assert_eq!(found(&world, at).await, 1, "{at}");
    }
    let none = world.admin(Method::GET, "/held", None).await;
    assert_eq!(none["held"], json!([]));
}

#[tokio::test]
async fn a_held_write_outlives_its_client() {
    let world = world(Config::default()).await;
    for (name, fault, written) in [
        ("done", json!({"at": "after"}), 1),
        ("carried", json!({"at": "before"}), 1),
        (
            "dropped",
            json!({"at": "before", "apply_on_release": false}),
            0,
        ),
    ] {
        let mut fault: Value = fault;
        fault["path"] = "/composite/sobjects".into();
        fault["kind"] = "hold".into();
        world.fault(fault).await;
        tokio::select! {
            answer = write(&world, name) => panic!("an answer to a held request: {answer:?}"),
            // The client is dropped, and its connection with it, as soon as the request is held.
            _ = world.admin(Method::GET, "/held?wait_ms=20000", None) => {}
        }
        assert_eq!(
            world.admin(Method::POST, "/release", None).await["released"],
            1
        );
        assert_eq!(found(&world, name).await, written, "{name}");
    }
    // A reset gives up what is held.
    world
        .fault(json!({"path": "/composite/sobjects", "kind": "hold"}))
        .await;
    let (answer, ()) = tokio::join!(write(&world, "reset"), async {
        world.admin(Method::GET, "/held?wait_ms=20000", None).await;
        world.admin(Method::POST, "/reset", None).await;
    });
    assert!(answer.is_err());
    assert_eq!(found(&world, "reset").await, 0);
}
