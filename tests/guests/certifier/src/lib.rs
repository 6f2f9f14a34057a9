//! Orders a certificate, waits for it and puts it to three hosts: one change with an `add`, a wait and three writes.

use cutover_plugin::{
    Action, Change, Check, Context, Failure, Manifest, Migrator, Object, Operation, Page, Present, Prior, Progress, Request, Role, Route,
    Snapshot, Stage, export_migrator,
};
use serde_json::{Map, Value, json};

const CA: &str = "ca";
const STORE: &str = "store";

struct Certifier;

impl Migrator for Certifier {
    fn manifest() -> Manifest {
        let ca = Role::one(CA)
            .kind("http")
            .route(Route::add("POST", "/orders").public_request("").public_response("/id"))
            .route(Route::read("GET", "/orders/{id}").public_response("/status"));
        let store = Role::one(STORE)
            .kind("http")
            .route(Route::read("GET", "/certs/{name}").public_response("/host"))
            .route(Route::write("PUT", "/certs/{name}").public_request("/host").status_only())
            .route(Route::write("DELETE", "/certs/{name}").status_only());
        let certify = Operation::migrate("certify", "one certificate for three hosts")
            .role(ca)
            .role(store)
            .flow(CA, STORE)
            .server_chosen("/*/certificate");
        Manifest::new("test:certifier", env!("CARGO_PKG_VERSION"), "orders certificates").operation(certify)
    }

    fn plan(_: &str, _: &Value, _: &[Change], _: Option<&str>) -> Result<Page, Failure> {
        let change = Change::new(Action::Update, Object::new(STORE, "certs/a"))
            .also(Object::new(STORE, "certs/b"))
            .also(Object::new(STORE, "certs/c"))
            .summary("one certificate for a, b and c")
            .by_hand("put the old certificates back");
        Ok(Page::of(vec![change]))
    }

    fn capture(_: &Context, _: &str, change: &Change) -> Result<Snapshot, Failure> {
        let (mut state, mut expected) = (Map::new(), Map::new());
        for object in &change.subject {
            state.insert(name(object), read(object)?.map_or(Value::Null, |present| present.value));
            expected.insert(name(object), json!({ "host": name(object), "certificate": null }));
        }
        Ok(Snapshot { state: Some(state.into()), expected: Some(expected.into()) })
    }

    fn apply(context: &Context, _: &str, change: &Change, _: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        let wait = |order: &Value| {
            Ok(Progress::Again { after_seconds: 90, memo: json!({ "order": order }), note: "the certificate to be issued".to_owned() })
        };
        let Some(order) = memo.map(|memo| &memo["order"]) else {
            let order = json!({ "key": context.idempotency_key, "names": change.subject.iter().map(name).collect::<Vec<_>>() });
            let answer = Request::post("orders").json(order).send(CA)?.expect_success("order the certificate")?;
            return wait(&answer.body.unwrap_or_default()["id"]);
        };
        let path = format!("orders/{}", order.as_str().unwrap_or_default());
        let issued = Request::get(&path).send(CA)?.expect_success("read the order")?.body.unwrap_or_default();
        if issued["status"] != "valid" {
            return wait(order);
        }
        for object in &change.subject {
            let wanted = json!({ "host": name(object), "certificate": issued["certificate"] });
            write(object, &wanted)?;
        }
        Ok(Progress::Done(memo.cloned()))
    }

    fn rollback(_: &Context, _: &str, change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<Progress, Failure> {
        for object in &change.subject {
            write(object, pre_image.map_or(&Value::Null, |pre_image| &pre_image[name(object)]))?;
        }
        Ok(Progress::Done(memo.cloned()))
    }

    fn verify(
        _: &Context,
        _: &str,
        change: &Change,
        pre_image: Option<&Value>,
        _: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure> {
        let check = |object: &Object| {
            let present = read(object)?.map_or(Value::Null, |present| present.value);
            let passed = match stage {
                Stage::RolledBack => pre_image.is_some_and(|pre_image| pre_image[name(object)] == present),
                Stage::Applied | Stage::Retired => present["host"] == name(object) && present["certificate"].is_string(),
            };
            Ok(Check::application(&name(object), passed, format!("{object} was read again")))
        };
        change.subject.iter().map(check).collect()
    }
}

fn name(object: &Object) -> String {
    object.path.trim_start_matches("certs/").to_owned()
}

fn read(object: &Object) -> Result<Option<Present>, Failure> {
    Request::get(&object.path).send_to(object)?.present("read the certificate")
}

/// Makes the object what it should be, `null` for absent, unless it is that already.
fn write(object: &Object, wanted: &Value) -> Result<(), Failure> {
    let present = read(object)?;
    let request = match (&present, wanted) {
        (None, Value::Null) => return Ok(()),
        (Some(present), wanted) if present.value == *wanted => return Ok(()),
        (Some(_), Value::Null) => Request::delete(&object.path),
        (_, wanted) => Request::put(&object.path).json(wanted.clone()),
    };
    request.expecting(&Prior::of(present.as_ref())).send_to(object)?.expect_success("write the certificate").map(drop)
}

export_migrator!(Certifier);
