//! The `file` kind on real folders.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use age::secrecy::ExposeSecret as _;

use super::*;
use crate::{
    clock::SystemClock,
    connection::{Credentials, WireLimits},
};

struct Place {
    folder: tempfile::TempDir,
    backend: FileBackend,
}

fn opening(environment: &[(&str, &str)]) -> Opening {
    let environment: HashMap<String, String> = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let credentials = Credentials::with_environment(environment);
    Opening { clock: Arc::new(SystemClock), credentials, limits: WireLimits::default(), digest_key: Zeroizing::new([7; 32]) }
}

async fn open_with(extra: Value, environment: &[(&str, &str)]) -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let Value::Object(mut settings) = extra else { panic!("settings are an object") };
    settings.insert("path".to_owned(), Value::from("."));
    let config = ConnectionConfig {
        name: "app".to_owned(),
        kind: "file".to_owned(),
        settings,
        folder: folder.path().to_owned(),
        ..ConnectionConfig::default()
    };
    let backend = FileKind::default().open_backend(&config, &opening(environment)).await.expect("a folder opens");
    Place { folder, backend }
}

async fn open() -> Place {
    open_with(json!({}), &[]).await
}

impl Place {
    /// `METHOD /path[?query]`, with headers and a body; gives the status, the etag and the body as text.
    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: Option<Value>) -> Result<(u16, String, String), SendError> {
        let (method, target) = line.split_once(' ').expect("a method and a path");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let request = WireRequest {
            method: method.to_owned(),
            path: RequestPath::parse(path).expect("a path"),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.map(WireBody::Json),
            credential: None,
        };
        let response = self.backend.send(request).await?;
        let etag = response.header("etag").unwrap_or_default().to_owned();
        let body = match response.body {
            WireResponseBody::None => String::new(),
            WireResponseBody::Json(value) => value.to_string(),
            WireResponseBody::Text(text) => text,
            WireResponseBody::Bytes(bytes) => format!("{} bytes", bytes.len()),
        };
        Ok((response.status, etag, body))
    }

    async fn status(&self, line: &str, headers: &[(&str, &str)], body: Option<Value>) -> u16 {
        self.ask(line, headers, body).await.expect(line).0
    }

    async fn code(&self, line: &str) -> String {
        match self.ask(line, &[], Some(json!({"A": "1"}))).await {
            Err(SendError::NotSent { failure }) => failure.code.unwrap_or_default(),
            other => format!("{other:?}"),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[tokio::test]
async fn documents_are_written_and_read_in_the_form_of_their_name() {
    let place = open().await;
    for name in ["a.env", "b.json", "c.yaml", "d.toml", ".env"] {
        let (status, written, _) = place.ask(&format!("PUT /deep/er/{name}"), &[], Some(json!({"KEY": "v a l"}))).await.expect(name);
        assert_eq!(status, 201, "{name}");
        let (status, etag, body) = place.ask(&format!("GET /deep/er/{name}"), &[], None).await.expect(name);
        assert_eq!((status, body.as_str()), (200, r#"{"KEY":"v a l"}"#), "{name}");
        assert_eq!(etag, written, "{name}");
        let file = fs::metadata(place.path().join("deep/er").join(name)).expect(name);
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(place.path().join("deep")).expect("a folder").permissions().mode() & 0o777, 0o700);
    assert_eq!(place.status("GET /none.json", &[], None).await, 404);
    assert_eq!(place.status("GET /no/such/folder/x.json", &[], None).await, 404);
    assert_eq!(place.status("DELETE /none.json", &[], None).await, 404);
}

#[tokio::test]
async fn a_replaced_file_keeps_mode_and_owner_and_leaves_no_temporary() {
    let place = open().await;
    let file = place.path().join("app.env");
    fs::write(&file, "A=1\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&file, Some(1234), Some(2345)).expect("an owner");
    }
    let before = fs::metadata(&file).expect("a file");
    assert_eq!(place.status("PUT /app.env", &[], Some(json!({"A": "2"}))).await, 200);
    let after = fs::metadata(&file).expect("a file");
    assert_eq!((after.permissions().mode() & 0o777, after.uid(), after.gid()), (0o640, before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "the file is replaced, not written over");
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 1);
}

#[tokio::test]
async fn a_failed_write_leaves_the_old_file_and_no_temporary() {
    let place = open().await;
    fs::write(place.path().join("app.toml"), "a = 1\n").expect("a file");
    let error = place.ask("PUT /app.toml", &[], Some(json!({"a": null}))).await.expect_err("toml has no null");
    assert!(matches!(error, SendError::NotSent { .. }));
    let large = json!("x".repeat((8 << 20) + 1));
    assert!(place.ask("PUT /app.toml?raw", &[], Some(large)).await.is_err());
    assert_eq!(fs::read_to_string(place.path().join("app.toml")).expect("a file"), "a = 1\n");
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 1);
}

#[tokio::test]
async fn preconditions_hold() {
    let place = open().await;
    let put = |value: u32| Some(json!({"A": value.to_string()}));
    assert_eq!(place.status("PUT /a.env", &[("If-Match", "*")], put(1)).await, 412);
    assert_eq!(place.status("PUT /a.env", &[("If-None-Match", "*")], put(1)).await, 201);
    assert_eq!(place.status("PUT /a.env", &[("if-none-match", "*")], put(2)).await, 412);
    let (_, first, _) = place.ask("GET /a.env", &[], None).await.expect("a file");
    assert_eq!(place.status("PUT /a.env", &[("If-Match", &first)], put(2)).await, 200);
    assert_eq!(place.status("PUT /a.env", &[("If-Match", &first)], put(3)).await, 412);
    assert_eq!(place.status("DELETE /a.env", &[("If-Match", &first)], None).await, 412);
    let (_, second, body) = place.ask("GET /a.env", &[], None).await.expect("a file");
    assert_eq!(body, r#"{"A":"2"}"#);
    assert!(place.ask("DELETE /a.env", &[("If-Unmodified-Since", "x")], None).await.is_err(), "an unknown condition is not passed over");
    assert_eq!(place.status("DELETE /a.env", &[("If-Match", &second)], None).await, 204);
    assert_eq!(place.status("GET /a.env", &[], None).await, 404);
}

#[tokio::test]
async fn etags_depend_on_name_and_content_alone() {
    let place = open().await;
    fs::write(place.path().join("a.json"), r#"{"x":1,"y":"z"}"#).expect("a file");
    let (_, first, _) = place.ask("GET /a.json", &[], None).await.expect("a file");
    fs::write(place.path().join("a.json"), "{ \"y\": \"z\",\n \"x\": 1 }").expect("a file");
    fs::write(place.path().join("b.json"), r#"{"x":1,"y":"z"}"#).expect("a file");
    assert_eq!(place.ask("GET /a.json", &[], None).await.expect("a file").1, first);
    assert_eq!(place.ask("GET /a.json?raw", &[], None).await.expect("a file").1, first);
    assert_ne!(place.ask("GET /b.json", &[], None).await.expect("a file").1, first);
    fs::write(place.path().join("a.json"), r#"{"x":1.0,"y":"z"}"#).expect("a file");
    assert_ne!(place.ask("GET /a.json", &[], None).await.expect("a file").1, first);
}

#[tokio::test]
async fn what_a_plugin_joined_never_comes_back_as_a_document() {
    let place = open().await;
    for name in ["x.env", "x.env.age", "x.json", ".env.retired", "x.toml.retired"] {
        assert!(place.ask(&format!("PUT /{name}?raw"), &[], Some(json!("SECRET=1"))).await.is_err(), "{name}");
    }
    assert_eq!(place.status("PUT /notes?raw", &[], Some(json!("SECRET=1"))).await, 201);
    assert!(place.ask("MOVE /notes?to=x.env", &[], None).await.is_err());
    assert_eq!(place.status("PUT /a.env", &[], Some(json!({"A": "1"}))).await, 201);
    for to in ["a.yaml", "a.env.json"] {
        assert!(place.ask(&format!("MOVE /a.env?to={to}"), &[], None).await.is_err(), "{to}");
    }
    assert_eq!(place.status("MOVE /a.env?to=a.env.retired", &[], None).await, 204);
    assert_eq!(place.status("MOVE /a.env.retired?to=a.env", &[], None).await, 204);
}

#[tokio::test]
async fn raw_text_goes_both_ways() {
    let place = open().await;
    assert_eq!(place.status("PUT /motd?raw", &[], Some(json!("hello\n"))).await, 201);
    assert_eq!(place.ask("GET /motd?raw", &[], None).await.expect("a file").2, "hello\n");
    assert_eq!(place.status("GET /motd", &[], None).await, 415);
    assert_eq!(place.status("PUT /motd", &[], Some(json!({}))).await, 415);
    fs::write(place.path().join("bad.json"), "{").expect("a file");
    assert_eq!(place.status("GET /bad.json", &[], None).await, 415);
}

#[tokio::test]
async fn names_are_listed_without_hidden_and_temporary_files() {
    let place = open().await;
    for name in ["b.json", "a.env", ".env", ".hidden", ".1-2.cutover-tmp", "x.cutover-tmp"] {
        fs::write(place.path().join(name), "").expect("a file");
    }
    fs::create_dir_all(place.path().join("sub/deep")).expect("a folder");
    fs::create_dir(place.path().join(".git")).expect("a folder");
    symlink("/etc/passwd", place.path().join("link.json")).expect("a link");
    assert_eq!(
        place.ask("LIST /", &[], None).await.expect("a list").2,
        r#"{"keys":[".env","a.env","b.json","sub/"],"others":["link.json"]}"#
    );
    assert_eq!(place.ask("LIST /sub/", &[], None).await.expect("a list").2, r#"{"keys":["deep/"]}"#);
    assert_eq!(place.status("LIST /none/", &[], None).await, 404);
    assert_eq!(place.status("LIST /a.env/", &[], None).await, 404);
}

#[tokio::test]
async fn what_killed_processes_left_goes_with_the_first_write_to_its_folder() {
    let place = open().await;
    fs::create_dir(place.path().join("sub")).expect("a folder");
    let mut child = std::process::Command::new("true").spawn().expect("a process");
    child.wait().expect("its end");
    let (dead, living) = (child.id(), std::process::id());
    let left = [format!(".{dead}-0.cutover-tmp"), format!(".{dead}-17.cutover-tmp")];
    let kept = [
        format!(".{living}-99.cutover-tmp"),
        format!(".{dead}-01.cutover-tmp"),
        format!(".{dead}-1.cutover-tmp.bak"),
        format!(".a{dead}-1.cutover-tmp"),
        format!("{dead}-1.cutover-tmp"),
        format!(".{dead}.cutover-tmp"),
        format!(".{dead}--1.cutover-tmp"),
        ".0-1.cutover-tmp".to_owned(),
        ".99999999999-1.cutover-tmp".to_owned(),
    ];
    let names = |folder: &str| -> std::collections::BTreeSet<String> {
        let names = fs::read_dir(place.path().join(folder)).expect("a folder").flatten();
        names.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
    };
    for name in left.iter().chain(&kept) {
        fs::write(place.path().join(name), "left").expect("a file");
        fs::write(place.path().join("sub").join(name), "left").expect("a file");
    }
    let (folder, link) = (format!(".{dead}-2.cutover-tmp"), format!(".{dead}-3.cutover-tmp"));
    fs::create_dir(place.path().join(&folder)).expect("a folder");
    symlink("/etc/passwd", place.path().join(&link)).expect("a link");

    assert_eq!(place.status("GET /none.json", &[], None).await, 404);
    assert!(left.iter().all(|name| names("").contains(name)), "a read takes nothing away");
    assert_eq!(place.status("PUT /a.json", &[], Some(json!({}))).await, 201);
    let now = names("");
    assert!(!left.iter().any(|name| now.contains(name)), "{now:?}");
    assert!(
        kept.iter().chain([&folder, &link]).all(|name| now.contains(name)),
        "only what is ours, regular and of a dead process: {now:?}"
    );
    assert!(left.iter().all(|name| names("sub").contains(name)), "nothing was written there yet");
    assert_eq!(place.status("PUT /sub/a.json", &[], Some(json!({}))).await, 201);
    assert!(!left.iter().any(|name| names("sub").contains(name)));
    fs::write(place.path().join(&left[0]), "left").expect("a file");
    assert_eq!(place.status("DELETE /a.json", &[], None).await, 204);
    assert!(names("").contains(&left[0]), "once per opening");
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let place = open().await;
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("secret.json"), r#"{"s":1}"#).expect("a file");
    symlink(outside.path(), place.path().join("out")).expect("a link");
    symlink(outside.path().join("secret.json"), place.path().join("leaf.json")).expect("a link");
    symlink(outside.path().join("new.json"), place.path().join("dangling.json")).expect("a link");
    fs::write(place.path().join("mine.json"), "{}").expect("a file");
    for line in [
        "GET /out/secret.json",
        "GET /leaf.json",
        "PUT /out/new.json",
        "PUT /leaf.json",
        "PUT /dangling.json",
        "DELETE /out/secret.json",
        "DELETE /leaf.json",
        "MOVE /mine.json?to=out/mine.json",
        "MOVE /out/secret.json?to=mine2.json",
        "LIST /out/",
    ] {
        assert_eq!(place.code(line).await, "CUT3240", "{line}");
    }
    assert_eq!(place.code("MOVE /mine.json?to=../mine.json").await, "CUT3201");
    assert_eq!(place.code("MOVE /mine.json?to=/a/../../x").await, "CUT3201");
    // An absolute target is below the folder like any other.
    let target = outside.path().join("x.json");
    assert_eq!(place.status(&format!("MOVE /mine.json?to={}", target.display()), &[], None).await, 204);
    assert!(!target.exists());
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("secret.json")).expect("a file"), r#"{"s":1}"#);
}

#[tokio::test]
async fn only_regular_files_are_files() {
    let place = open().await;
    fs::create_dir(place.path().join("dir.json")).expect("a folder");
    rustix::fs::mknodat(rustix::fs::CWD, place.path().join("pipe.json"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a pipe");
    for line in
        ["GET /dir.json", "PUT /dir.json", "DELETE /dir.json", "GET /pipe.json", "PUT /pipe.json", "GET /", "PUT /a/", "PUT /x.cutover-tmp"]
    {
        assert_eq!(place.code(line).await, "CUT3240", "{line}");
    }
    fs::write(place.path().join("file"), "").expect("a file");
    assert_eq!(place.status("GET /file/below.json", &[], None).await, 404);
    assert_eq!(place.code("PUT /file/below.json").await, "CUT3240");
}

#[tokio::test]
async fn files_over_the_limit_are_refused() {
    let place = open().await;
    fs::File::create(place.path().join("big.json")).and_then(|file| file.set_len((8 << 20) + 1)).expect("a large file");
    assert_eq!(place.code("GET /big.json").await, "CUT3241");
}

#[test]
fn missing_rights_are_no_absence() {
    for errno in [rustix::io::Errno::ACCESS, rustix::io::Errno::PERM, rustix::io::Errno::ROFS] {
        let path = RequestPath::parse("/a").expect("a path");
        assert_eq!(problem(&path, &errno.into()).expect("a response").status, 403);
    }
    let path = RequestPath::parse("/a").expect("a path");
    assert!(matches!(problem(&path, &FolderError::NotDurable(rustix::io::Errno::IO)), Err(SendError::Lost { .. })));
    assert!(matches!(problem(&path, &rustix::io::Errno::IO.into()), Err(SendError::NotSent { .. })));
}

#[tokio::test]
async fn a_move_takes_no_place_that_is_taken() {
    let place = open().await;
    fs::write(place.path().join("a.json"), "{}").expect("a file");
    fs::write(place.path().join("b.json"), "[]").expect("a file");
    assert_eq!(place.status("MOVE /a.json?to=b.json", &[], None).await, 412);
    assert_eq!(place.status("MOVE /none.json?to=c.json", &[], None).await, 404);
    assert_eq!(place.status("MOVE /a.json?to=a.json", &[], None).await, 412);
    assert_eq!(place.status("MOVE /a.json?to=sub/c.json", &[], None).await, 204);
    assert_eq!(fs::read_to_string(place.path().join("sub/c.json")).expect("a file"), "{}");
    assert_eq!(fs::read_to_string(place.path().join("b.json")).expect("a file"), "[]");
    for line in ["MOVE /b.json", "MOVE /b.json?to=c.json&to=d.json", "GET /b.json?to=c", "PUT /b.json?x=1"] {
        assert_eq!(place.code(line).await, "CUT3235", "{line}");
    }
}

#[tokio::test]
async fn encrypted_files_hold_no_plain_text() {
    let identity = age::x25519::Identity::generate();
    let key = format!("# created by a test\n{}\n", identity.to_string().expose_secret());
    let place = open_with(json!({"identity": "env:AGE_KEY"}), &[("AGE_KEY", &key)]).await;
    let (status, written, _) =
        place.ask("PUT /app.env.age", &[], Some(json!({"PASSWORD": "correct-horse-battery"}))).await.expect("a write");
    assert_eq!(status, 201);
    let first = fs::read(place.path().join("app.env.age")).expect("a file");
    assert!(first.starts_with(b"age-encryption.org/v1"));
    assert!(!first.windows(8).any(|window| b"correct-horse-battery PASSWORD".windows(8).any(|plain| plain == window)));
    let (_, etag, body) = place.ask("GET /app.env.age", &[], None).await.expect("a read");
    assert_eq!((etag, body.as_str()), (written.clone(), r#"{"PASSWORD":"correct-horse-battery"}"#));
    let again = place
        .ask("PUT /app.env.age", &[("If-Match", &written)], Some(json!({"PASSWORD": "correct-horse-battery"})))
        .await
        .expect("a write");
    assert_eq!((again.0, again.1), (200, written), "the tag follows the content, not the cipher");
    assert_ne!(fs::read(place.path().join("app.env.age")).expect("a file"), first);
}

#[tokio::test]
async fn encryption_keeps_armor_and_needs_keys() {
    let (ours, theirs) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
    let place = open_with(json!({"recipients": [theirs.to_public().to_string()]}), &[]).await;
    fs::write(place.path().join("a.env.age"), age::encrypt_and_armor(&ours.to_public(), b"A=1").expect("armored")).expect("a file");
    assert_eq!(place.code("GET /a.env.age").await, "CUT3242", "no identity");
    assert_eq!(place.status("PUT /b.env.age", &[], Some(json!({"A": "1"}))).await, 201, "recipients are enough to write");
    let cipher = fs::read(place.path().join("b.env.age")).expect("a file");
    assert!(age::decrypt(&theirs, &cipher).is_ok() && age::decrypt(&ours, &cipher).is_err());

    let key = ours.to_string().expose_secret().to_owned();
    let place = open_with(json!({"identity": "env:AGE_KEY"}), &[("AGE_KEY", &key)]).await;
    fs::write(place.path().join("a.env.age"), age::encrypt_and_armor(&ours.to_public(), b"A=1").expect("armored")).expect("a file");
    fs::write(place.path().join("b.env.age"), &cipher).expect("a file");
    assert_eq!(place.status("PUT /a.env.age", &[], Some(json!({"A": "2"}))).await, 200);
    assert!(fs::read(place.path().join("a.env.age")).expect("a file").starts_with(b"-----BEGIN AGE"));
    assert_eq!(place.code("GET /b.env.age").await, "CUT3242", "somebody else's file");
}

#[tokio::test]
async fn declarations_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");
    let pasted = "AGE-SECRET-KEY-1NOTAKEY";
    for settings in [
        json!({}),
        json!({"path": "none"}),
        json!({"path": "file"}),
        json!({"path": ".", "unknown": 1}),
        json!({"path": ".", "recipients": ["age1x"]}),
        json!({"path": ".", "identity": "env:BAD"}),
        json!({"path": ".", "identity": pasted}),
    ] {
        let Value::Object(map) = settings.clone() else { continue };
        let config =
            ConnectionConfig { name: "app".to_owned(), settings: map, folder: folder.path().to_owned(), ..ConnectionConfig::default() };
        let result = FileKind::default().open_backend(&config, &opening(&[("BAD", pasted)])).await;
        let Err(error) = result else { panic!("{settings} opened") };
        assert!(!error.to_string().contains(pasted), "{error}");
    }
}
