//! The rules for operations that move something.

use std::collections::BTreeSet;

use cutover_engine::{ChangeBody, Pointer, Purpose, ResponseRule, Verdict, equal_outside};
use serde_json::{Value, json};

use super::{
    bench::{Bench, World},
    finding::Findings,
    life::Life,
    rule::Rule,
    trouble::Trouble,
};
use crate::hook::{Answer, Stage};

/// Changes of one case that are played; a world of a fixture is small.
const MOST_CHANGES: usize = 20;
/// Lost answers that are tried for one change.
const MOST_LOST: usize = 5;

/// Plays everything, and says how many changes the plan has.
pub(super) async fn examine(bench: &Bench, findings: &mut Findings) -> usize {
    let Some(changes) = plan(bench, findings).await else { return 0 };
    let mut idle = true;
    for change in changes.iter().take(MOST_CHANGES) {
        let writes = there_and_back(bench, change, findings).await;
        idle &= writes == Some(0);
        if let Some(writes @ 1..) = writes {
            lost_answers(bench, change, writes, findings).await;
            intrusion(bench, change, findings).await;
        }
        refusals(bench, change, findings).await;
        silence(bench, change, findings).await;
    }
    if idle {
        let nothing = if changes.is_empty() { "the plan has no change" } else { "nothing is written: all is as it is wanted already" };
        findings.broken(Rule::ApplyReaches, format!("{nothing}; write a case in which there is something to do"));
    }
    changes.len()
}

/// Plans twice; nothing must be written, and both plans must be one that the host takes.
async fn plan(bench: &Bench, findings: &mut Findings) -> Option<Vec<ChangeBody>> {
    bench.restart();
    let before = bench.world();
    let first = bench.plan().await;
    let (changes, output) = findings.of("plan", first, Rule::PlanIsStable)?;
    let again = bench.plan().await;
    let again = findings.of("plan, the second time", again, Rule::PlanIsStable)?;
    if bench.world() == before {
        findings.kept(Rule::LooksOnly);
    } else {
        findings.broken(Rule::LooksOnly, "the world is not as it was before plan");
    }
    match unsound(bench, &changes) {
        Some(problem) => findings.broken(Rule::PlanIsStable, problem),
        None if again != (changes.clone(), output.clone()) => {
            findings.broken(Rule::PlanIsStable, format!("two plans of one world differ{}", difference(&changes, &again.0)));
        }
        None => findings.kept(Rule::PlanIsStable),
    }
    fits(bench, output.as_ref(), "the output of plan", findings);
    Some(changes)
}

/// What the host would not take of a plan.
fn unsound(bench: &Bench, changes: &[ChangeBody]) -> Option<String> {
    let mut ids = BTreeSet::new();
    for change in changes {
        let id = &change.id;
        if !ids.insert(id.clone()) {
            return Some(format!("two changes have the id `{id}`"));
        }
        if change.subject.is_empty() {
            return Some(format!("change `{id}` has no object in its subject"));
        }
        if let Some(object) = change.subject.iter().find(|object| bench.operation.role(&object.role).is_none()) {
            return Some(format!("change `{id}` names `{object}`, but the operation has no such role"));
        }
        if let Some(conflict) = &change.conflict {
            return Some(format!("change `{id}` cannot be made: {conflict}; write a world in which it can"));
        }
        if let Some(problem) = unlinked(bench, change) {
            return Some(problem);
        }
        let losses = &bench.plugin.manifest().losses;
        if let Some(loss) = change.losses.iter().find(|loss| losses.iter().all(|code| code.code != loss.code)) {
            return Some(format!("change `{id}` has the loss `{}`, which is not in the manifest", loss.code));
        }
    }
    None
}

/// A retirement is about changes of the case before, and no other operation is about any but those.
fn unlinked(bench: &Bench, change: &ChangeBody) -> Option<String> {
    let id = &change.id;
    let foreign = change.links.iter().find(|link| bench.linked().iter().all(|linked| linked.id != **link));
    match foreign {
        Some(link) => Some(format!("change `{id}` links `{link}`, which is no change of the case that it is about")),
        None if bench.operation.purpose == Purpose::Retire && change.links.is_empty() => {
            Some(format!("change `{id}` retires something and links no change that it is about"))
        }
        None => None,
    }
}

fn difference(one: &[ChangeBody], other: &[ChangeBody]) -> String {
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some((one, _)) => format!(": change `{}`", one.id),
        None => format!(": {} and {} changes", one.len(), other.len()),
    }
}

/// Holds a document against the operation's output schema. No output is none that could be wrong, unless one is required.
pub(super) fn fits(bench: &Bench, document: Option<&Value>, what: &str, findings: &mut Findings) {
    let schema = &bench.operation.output_schema;
    let Some(document) = document else {
        let required = schema["required"].as_array().is_some_and(|required| !required.is_empty());
        return if required {
            findings.broken(Rule::FitsSchema, format!("{what} is missing, but the schema requires members"));
        } else {
            findings.kept(Rule::FitsSchema);
        };
    };
    match jsonschema::draft202012::new(schema) {
        Err(error) => findings.broken(Rule::FitsSchema, format!("the output schema is broken: {}", error.masked())),
        Ok(validator) => match validator.iter_errors(document).next() {
            Some(error) => findings.broken(Rule::FitsSchema, format!("{what}{}: {}", error.instance_path(), error.masked())),
            None => findings.kept(Rule::FitsSchema),
        },
    }
}

/// The whole life of a change. How many writes its apply took, if it came that far.
async fn there_and_back(bench: &Bench, change: &ChangeBody, findings: &mut Findings) -> Option<usize> {
    bench.restart();
    let before = bench.world();
    let begun = Life::begin(bench, change).await;
    let (mut life, look) = findings.of("capture", begun, Rule::CaptureCovers)?;
    if look.state == look.expected {
        return Some(0);
    }
    if equal_outside(look.state.as_ref(), look.expected.as_ref(), &bench.operation.server_chosen) && !bench.operation.self_checking {
        findings.broken(Rule::ApplyReaches, "state and `expected` differ only where the server chooses: the host has nothing to compare");
        return None;
    }
    let applied = life.apply(None).await;
    findings.of("apply", applied, Rule::ApplyReaches)?;
    let writes = bench.writes().len();
    let looked = life.look().await;
    let after = findings.of("capture after apply", looked, Rule::ApplyReaches)?;
    if !life.is_reached(after.state.as_ref()) {
        findings.broken(Rule::ApplyReaches, format!("change `{}`: after apply the state is not what capture expected", change.id));
        return None;
    }
    findings.kept(Rule::ApplyReaches);
    apply_again(bench, &mut life, findings).await;
    let broken_world = verify(bench, &life, &before, findings).await;
    if bench.operation.purpose == Purpose::Retire {
        ends_path(&life, findings).await;
    }
    if broken_world.is_some() {
        roll_back(bench, &mut life, &before, findings).await;
    }
    Some(writes)
}

/// Applies what is applied: with the last memo, and without one as after a crash.
async fn apply_again(bench: &Bench, life: &mut Life<'_>, findings: &mut Findings) {
    let done = bench.world();
    for memo in [life.memo.clone(), None] {
        bench.set(&done);
        let with = if memo.is_some() { "with the memo" } else { "without a memo" };
        let applied = life.apply(memo).await;
        if findings.of(&format!("apply, the second time, {with}"), applied, Rule::ApplyTwice).is_none() {
            return bench.set(&done);
        }
        if let Some(write) = bench.writes().first() {
            findings.broken(Rule::ApplyTwice, format!("the second apply, {with}, sent `{write}` again"));
        }
    }
    findings.kept(Rule::ApplyTwice);
    bench.set(&done);
}

/// Verifies where all is right, then in worlds that somebody broke. The world is right again afterwards.
async fn verify(bench: &Bench, life: &Life<'_>, before: &World, findings: &mut Findings) -> Option<()> {
    let verified = life.verify(Stage::Applied).await;
    let (verdict, detail) = findings.of("verify", verified, Rule::VerifySees)?;
    if verdict != Verdict::Pass {
        findings.broken(Rule::VerifySees, format!("verify does not pass where all is as it should be: {detail}"));
        return Some(());
    }
    let right = bench.world();
    for (what, broken) in breakages(bench, before, &right) {
        bench.set(&broken);
        // A failure is no pass: the host would not go on.
        if let Ok((Verdict::Pass, _)) = life.verify(Stage::Applied).await {
            findings.broken(Rule::VerifySees, format!("{what}, and verify still passes"));
        }
    }
    bench.set(&right);
    findings.kept(Rule::VerifySees);
    Some(())
}

/// The old path is tried as the host would try it.
async fn ends_path(life: &Life<'_>, findings: &mut Findings) {
    let tried = life.lives_on().await;
    match findings.of("verify of the old path", tried, Rule::EndsPath) {
        Some(Some(why)) => findings.broken(Rule::EndsPath, format!("change `{}`: {why}", life.change.id)),
        Some(None) => findings.kept(Rule::EndsPath),
        None => {}
    }
}

/// Worlds in which something that apply wrote is not as it left it. Where it can see no content, another one is no breakage.
fn breakages(bench: &Bench, before: &World, right: &World) -> Vec<(String, World)> {
    let mut worlds = Vec::new();
    for (role, documents) in right {
        let sees = bench.operation.role(role).is_some_and(|role| role.routes.iter().any(|route| route.response != ResponseRule::Status));
        let paths: BTreeSet<&String> = documents.keys().chain(before[role].keys()).collect();
        for path in paths.into_iter().filter(|path| documents.get(*path) != before[role].get(*path)) {
            let mut with = |what: &str, document: Option<Value>| {
                let mut world = right.clone();
                let place = world.entry(role.clone()).or_default();
                match document {
                    Some(document) => place.insert(path.clone(), document),
                    None => place.remove(path),
                };
                worlds.push((format!("somebody {what} `{role}:{path}`"), world));
            };
            match (documents.get(path), before[role].get(path)) {
                (Some(document), _) => {
                    if sees {
                        with("changed", Some(otherwise(document)));
                    }
                    with("took away", None);
                }
                (None, old) => with("brought back", old.cloned()),
            }
        }
    }
    worlds
}

/// A document of the same shape with every value another one.
fn otherwise(document: &Value) -> Value {
    match document {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().map(|(name, value)| (name.clone(), otherwise(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) if !items.is_empty() => items.iter().map(otherwise).collect(),
        Value::Bool(value) => Value::from(!value),
        Value::Number(number) => Value::from(number.as_i64().unwrap_or_default() + 1),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => otherwise(&inner).to_string().into(),
            // The end of a file's last line, so that it stays a file of its form.
            _ if text.ends_with('\n') => format!("{}-changed\n", text.trim_end()).into(),
            _ => format!("{text}-changed").into(),
        },
        Value::Null | Value::Object(_) | Value::Array(_) => json!("changed"),
    }
}

/// Takes the change back, looks, and takes it back once more.
async fn roll_back(bench: &Bench, life: &mut Life<'_>, before: &World, findings: &mut Findings) {
    if bench.operation.irreversible {
        findings.unseen(Rule::RollbackInverts, "the operation is irreversible");
        return findings.unseen(Rule::RollbackTwice, "the operation is irreversible");
    }
    let rolled_back = life.roll_back().await;
    if findings.of("rollback", rolled_back, Rule::RollbackInverts).is_none() {
        return;
    }
    let looked = life.look().await;
    let Some(look) = findings.of("capture after rollback", looked, Rule::RollbackInverts) else { return };
    let id = &life.change.id;
    if !equal_outside(look.state.as_ref(), life.pre_image(), &residue(bench, &life.change)) {
        return findings.broken(Rule::RollbackInverts, format!("change `{id}`: after rollback the state is not the pre-image"));
    }
    findings.kept(Rule::RollbackInverts);
    match moved(before, &bench.world()) {
        Some(place) if life.change.losses.is_empty() => findings.broken(
            Rule::CaptureCovers,
            format!("change `{id}`: the state is as it was, but `{place}` is not: capture does not hold all that apply writes"),
        ),
        _ => findings.kept(Rule::CaptureCovers),
    }
    let verified = life.verify(Stage::RolledBack).await;
    if let Some((Verdict::Fail, detail)) = findings.of("verify after rollback", verified, Rule::RollbackInverts) {
        findings.broken(Rule::RollbackInverts, format!("verify fails where all is back: {detail}"));
    }
    bench.set(&bench.world());
    let again = life.roll_back().await;
    if findings.of("rollback, the second time", again, Rule::RollbackTwice).is_some() {
        match bench.writes().first() {
            Some(write) => findings.broken(Rule::RollbackTwice, format!("the second rollback sent `{write}` again")),
            None => findings.kept(Rule::RollbackTwice),
        }
    }
}

/// What a rollback may leave different: the residue of the losses that the change lists.
fn residue(bench: &Bench, change: &ChangeBody) -> Vec<Pointer> {
    let listed = bench.plugin.manifest().losses.iter().filter(|code| change.losses.iter().any(|loss| loss.code == code.code));
    listed.flat_map(|code| code.residue.iter().cloned()).collect()
}

/// The first place that is not as it was.
fn moved(before: &World, after: &World) -> Option<String> {
    before.iter().find_map(|(role, old)| {
        let new = &after[role];
        let mut paths = old.keys().chain(new.keys());
        paths.find(|path| !alike(old.get(*path), new.get(*path))).map(|path| format!("{role}:{path}"))
    })
}

/// Equal, or texts of equal JSON: a file may be written with other spaces.
fn alike(one: Option<&Value>, other: Option<&Value>) -> bool {
    let parsed = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    one == other || parsed(one).is_some_and(|one| Some(one) == parsed(other))
}

/// Each write in turn takes effect and its answer is lost; apply must then come to the same end.
async fn lost_answers(bench: &Bench, change: &ChangeBody, writes: usize, findings: &mut Findings) {
    if !bench.operation.resumable {
        return findings.unseen(Rule::ApplyResumes, "the manifest says that it is not resumable");
    }
    for number in 1..=writes.min(MOST_LOST) {
        bench.restart();
        let Ok((mut life, _)) = Life::begin(bench, change).await else { return };
        bench.trouble(&Trouble::LosesAnswer(number));
        // Whatever it returns: the host counts the change as unknown and looks.
        let _ = life.apply(None).await;
        bench.trouble(&Trouble::None);
        let reached = match life.look().await {
            Ok(look) if life.is_reached(look.state.as_ref()) => true,
            Ok(_) => {
                let memo = life.memo.clone();
                let applied = life.apply(memo).await;
                if findings.of(&format!("apply after the answer of write {number} was lost"), applied, Rule::ApplyResumes).is_none() {
                    return;
                }
                life.look().await.is_ok_and(|look| life.is_reached(look.state.as_ref()))
            }
            Err(_) => false,
        };
        if !reached {
            let text = format!("change `{}`: the answer of write {number} was lost, and apply does not get there any more", change.id);
            findings.broken(Rule::ApplyResumes, text);
        }
    }
    findings.kept(Rule::ApplyResumes);
}

/// Somebody writes between apply's read and its first write.
async fn intrusion(bench: &Bench, change: &ChangeBody, findings: &mut Findings) {
    bench.restart();
    let Ok((mut life, _)) = Life::begin(bench, change).await else { return };
    let foreign = json!({ "written-by": "somebody else" });
    bench.trouble(&Trouble::Intrudes(foreign.clone()));
    let _ = life.apply(None).await;
    let overwritten = bench.stages().find_map(|(role, stage)| {
        let path = stage.intruded()?;
        let there = stage.documents().get(&path).cloned();
        let kept = alike(there.as_ref(), Some(&foreign)) || there == Some(Value::from(foreign.to_string()));
        (!kept).then(|| format!("{role}:{path}"))
    });
    match overwritten {
        Some(place) => {
            findings.broken(Rule::ApplyYields, format!("somebody wrote `{place}` after apply had read it, and apply wrote over that"))
        }
        None => findings.kept(Rule::ApplyYields),
    }
}

/// Each place in turn refuses or is away: capture must fail, if it asked there.
async fn refusals(bench: &Bench, change: &ChangeBody, findings: &mut Findings) {
    for (role, stage) in bench.stages() {
        for status in [401, 403, 503] {
            bench.restart();
            stage.trouble(Trouble::Refuses(status));
            let answer = Life::capture_in_trouble(bench, change, false).await;
            if matches!(answer, Ok(Answer::Snapshot { .. })) && stage.refused() > 0 {
                findings.broken(Rule::RefusalIsNoAbsence, format!("`{role}` answered {status}, and capture returned a state"));
            }
        }
    }
    bench.restart();
    findings.kept(Rule::RefusalIsNoAbsence);
}

/// No place answers: the host ends the hook, and another one works as before.
async fn silence(bench: &Bench, change: &ChangeBody, findings: &mut Findings) {
    bench.restart();
    if let Ok(Answer::Snapshot { .. }) = Life::capture_in_trouble(bench, change, true).await {
        findings.broken(Rule::CaptureCovers, "capture returned a state in a world that never answered");
    }
    bench.restart();
    let begun = Life::begin(bench, change).await;
    if findings.of("capture after one that the host ended", begun, Rule::EndsInTime).is_some() {
        findings.kept(Rule::EndsInTime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_document_keeps_its_shape() {
        assert_eq!(otherwise(&json!({"a": [1, true], "b": {"c": "x"}})), json!({"a": [2, false], "b": {"c": "x-changed"}}));
        assert_eq!(otherwise(&json!("KEY=value\n")), json!("KEY=value-changed\n"));
        assert_eq!(otherwise(&json!("{\"a\":1}")), json!("{\"a\":2}"));
        assert_eq!(otherwise(&json!({})), json!("changed"));
    }
}
