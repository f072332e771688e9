//! Whether everything that a case names exists: callers, types, actions, entities, policies, plugins,
//! obligations, remedies.
//!
//! A misspelt name makes a case fail, or pass for the wrong reason: "nobody may" is soon true of
//! somebody who does not exist. So names are looked up without running anything. Codes of findings are
//! the plugins' own and are not looked up. A case whose expected cause is `indeterminate` may be about
//! a name that nobody has, and its request is left alone.

use std::collections::BTreeMap;

use assent_engine::{Caller, Release, host_context};
use assent_model::{Cause, FailureKind, Remedy};
use assent_policy::{LoadErrors, LoadProblem, SourceFile, Unprepared};

use super::file::Case;
use super::run::{OWN_ENTITIES, caller, snapshot};
use crate::deployment::config::misspelt_obligation;
use crate::deployment::files::nearest;
use crate::deployment::places::step;

/// Every name in a case that nobody has, and whatever else keeps its request from being asked.
pub fn check(
    case: &Case,
    release: &Release,
    entities: &[SourceFile],
    callers: &BTreeMap<String, Caller>,
) -> Vec<LoadProblem> {
    let mut problems = expectations(case, release);
    let caller = caller(case, release, callers).map_err(|message| {
        let near = case.caller.as_deref().and_then(|id| nearest(id, callers.keys().map(String::as_str)));
        problems.push(with_nearest(case.problem("/caller", message), near));
    });
    let own = match snapshot(case, release, entities) {
        Ok(own) => own,
        Err(LoadErrors(found)) => {
            problems.extend(found.into_iter().map(|problem| of_entities(case, problem)));
            return problems;
        }
    };
    if case.expected.cause == Some(Cause::Indeterminate) {
        return problems;
    }
    let snapshot = own.as_ref().unwrap_or(release.snapshot());
    let unknown = release.policies().unknown_names(snapshot, &case.request);
    let about_names = "if nobody is meant to have it, let the case expect `cause = \"indeterminate\"`";
    for name in &unknown {
        let pointer = format!("/{}", name.path.replace('.', "/"));
        let problem = case.problem(&pointer, format!("{}: {}", name.path, name.message));
        problems.push(problem.with_help(name.help.clone().unwrap_or_else(|| about_names.to_owned())));
    }
    if let (true, Ok(caller)) = (unknown.is_empty(), caller) {
        let host = host_context(&caller, case.now);
        if let Err(unprepared) = release.policies().prepare(snapshot, &case.request, &host) {
            let message = format!("the request cannot be put to the policies: {unprepared}");
            let problem = case.problem(&pointer(&unprepared), message);
            problems
                .push(problem.with_help("if that is meant, let the case expect `cause = \"indeterminate\"`"));
        }
    }
    problems
}

/// Where in the case the reason stands.
fn pointer(unprepared: &Unprepared) -> String {
    let path = match unprepared {
        Unprepared::BadAttribute { path, .. }
        | Unprepared::Contradiction { path }
        | Unprepared::DanglingReference { path }
        | Unprepared::HostValue { path, .. } => path.as_str(),
        Unprepared::UnknownType { path } | Unprepared::NotApplicable { path, .. } => path,
        Unprepared::UnknownSubject => "subject.id",
        Unprepared::UnknownResource => "resource.id",
        Unprepared::UnknownAction => "action.name",
        Unprepared::Stale { .. } | Unprepared::Facts => return String::new(),
    };
    path.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .map(|part| format!("/{}", step(part)))
        .collect()
}

fn of_entities(case: &Case, problem: LoadProblem) -> LoadProblem {
    if problem.file != OWN_ENTITIES {
        // The case takes something away, or changes what others refer to.
        return case.problem("/entities", format!("the stored entities no longer fit: {problem}"));
    }
    let place = case.problem(&format!("/entities/{}", problem.line.saturating_sub(2)), problem.message);
    LoadProblem { help: problem.help, ..place }
}

fn with_nearest(problem: LoadProblem, near: Option<&str>) -> LoadProblem {
    LoadProblem { help: near.map(|name| format!("did you mean `{name}`?")), ..problem }
}

/// The names in what the case expects.
fn expectations(case: &Case, release: &Release) -> Vec<LoadProblem> {
    let mut problems = vec![];
    let expected = &case.expected;
    let policies: Vec<&str> = release.policies().notes().map(|info| info.note.id.as_str()).collect();
    let bindings: Vec<&str> = release.bindings().iter().map(|binding| binding.plugin.binding()).collect();
    let mut report = |list: &str, at: usize, message: String, near: Option<&str>| {
        problems.push(with_nearest(case.problem(&format!("/expect/{list}/{at}"), message), near));
    };
    for (list, ids) in [("policies", &expected.policies), ("errors", &expected.errors)] {
        for (at, id) in numbered(ids).filter(|(_, id)| !policies.contains(id)) {
            report(list, at, format!("there is no policy `{id}`"), nearest(id, policies.iter().copied()));
        }
    }
    for (list, names) in [("findings", &expected.findings), ("failures", &expected.failures)] {
        for (at, name) in numbered(names) {
            let (binding, rest) = name.split_once(':').unwrap_or((name, ""));
            if !bindings.contains(&binding) {
                let near = nearest(binding, bindings.iter().copied());
                report(list, at, format!("no plugin is bound as `{binding}` (in `{name}`)"), near);
            } else if rest.is_empty() {
                report(list, at, format!("`{name}` names no code: expected `{binding}:CODE`"), None);
            }
        }
    }
    let kinds = || FailureKind::ALL.iter().map(|kind| kind.code());
    for (at, name) in numbered(&expected.failures) {
        let kind = name.split_once(':').map_or("", |(_, kind)| kind);
        if !kind.is_empty() && !kinds().any(|known| known == kind) {
            report("failures", at, format!("plugins do not fail with `{kind}`"), nearest(kind, kinds()));
        }
    }
    for (at, code) in numbered(&expected.obligations) {
        if let Some(near) = misspelt_obligation(code) {
            report("obligations", at, format!("the obligation `{code}` is not a known one"), Some(near));
        }
    }
    for (at, code) in numbered(&expected.remedies) {
        let known = || Remedy::CODES.iter().copied();
        if !known().any(|known| known == code) {
            report("remedies", at, format!("there is no remedy `{code}`"), nearest(code, known()));
        }
    }
    problems
}

fn numbered(list: &Option<Vec<String>>) -> impl Iterator<Item = (usize, &str)> {
    list.iter().flatten().map(String::as_str).enumerate()
}
